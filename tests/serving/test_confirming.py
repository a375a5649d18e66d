"""After the switch: what is served is asked for, and is the new release, or the old one is served again."""

from __future__ import annotations

from .world import PYTHON, Served, front_door


def test_the_front_door_says_which_release_is_served(served: Served) -> None:
    with front_door(served) as url:
        served.configure(more=f'confirm_url = "{url}"')
        told = served.deploy("v1")
        assert f"confirmed: {url} is answered by {served.current}" in told
        first = served.current
        told = served.deploy("v2", exits=13, liar=True)
        assert f"{url} is answered by 20200101000000" in told
    served.serves("v1")
    assert served.units() == {f"web 1 of {first}"}


def test_behind_the_maintenance_page_a_release_is_confirmed_by_its_socket(served: Served) -> None:
    with front_door(served) as url:
        served.configure(more=f'confirm_url = "{url}"')
        served.deploy("v1")
        served.run("maintenance", "on")
        told = served.deploy("v2")
        assert f"confirmed: {served.site_root}/current/run/web.sock is answered by web 1 of {served.current}" in told
        assert (served.site_root / "maintenance/page.html").exists()
        served.run("maintenance", "off")
        assert f"confirmed: {url} is answered by" in served.deploy("v3")
    served.serves("v3")


def test_a_front_door_that_names_no_release_only_answers(served: Served) -> None:
    with front_door(served, release=None) as url:
        served.configure(more=f'confirm_url = "{url}"')
        told = served.deploy("v1")
    assert f"{url} answers; without the header X-Release" in told
    assert "confirmed" not in told


def test_with_nothing_to_go_back_to_the_release_stays(served: Served) -> None:
    with front_door(served, release="20200101000000") as url:
        served.configure(more=f'confirm_url = "{url}"')
        told = served.deploy("v1", exits=17)
    assert "is current, but it was not confirmed" in told
    served.serves("v1")


def test_a_release_without_processes_is_seen_too(served: Served) -> None:
    served.deploy("v1")
    with front_door(served, release="20200101000000") as url:
        served.configure(more=f'confirm_url = "{url}"', web="true")
        served.deploy("v2", exits=13)
    served.serves("v1")


def test_who_is_none_of_the_new_processes_is_not_taken_for_one(served: Served) -> None:
    served.deploy("v1")
    first = served.current
    wanted = served.root / "impostor-is-wanted"
    wanted.touch()
    try:
        health = f'health = "{PYTHON} impostor.py {wanted}"\nenv = {{ WHERE = "{{socket}}" }}'
        served.configure(web="sleep 600", of_web=health)
        told = served.deploy("v2", exits=13)
    finally:
        wanted.unlink()
    assert "which is not of web 1 of" in told and f"{first} is current again" in told
    served.serves("v1")
    assert served.units() == {f"web 1 of {first}"}
