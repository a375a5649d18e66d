"""What every web server does with the configuration that is printed for it. All of it with the real ones."""

from __future__ import annotations

import threading

from .stage import Scene


def test_static_files_are_those_of_the_release(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        assert front.ask("/static/a.css").text == "v1"
        assert front.ask("/static/a.css").headers["Content-Type"].startswith("text/css")
        assert front.ask("/static/sub/").text == "v1"
        assert front.ask("/static/missing.css").status == 404
        front_of.release("v2")
        assert front.ask("/static/a.css").text == "v2"
        front_of.bench.rollback()
        assert front.ask("/static/a.css").text == "v1"


def test_requests_go_to_the_process_of_the_release(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        assert front.ask("/page").text == "v1"
        assert front.ask("/form", method="POST", body="x=1").text == "v1"
        front_of.release("v2")
        assert front.ask("/page").text == "v2"


def test_each_instance_gets_requests(front_of: Scene) -> None:
    names = ("web.sock", "web.2.sock")
    front_of.release("v1", *names)
    with front_of.front(front_of.printed(*names)) as front:
        assert {front.ask("/page").text for _ in range(8)} == {f"v1 {name}" for name in names}
        front_of.release("v2", *names)
        assert {front.ask("/page").text for _ in range(8)} == {f"v2 {name}" for name in names}


def test_what_is_not_said_to_be_served_is_not(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        for path in ("/apps/settings.py", "/static/../apps/settings.py", "/static/%2e%2e/apps/settings.py"):
            assert "SECRET" not in front.ask(path).text


def test_without_a_process_nothing_else_is_served(front_of: Scene) -> None:
    front_of.release("v1")
    text = front_of.here(front_of.bench.site.webserver(front_of.kind, host="site.example", port=front_of.port))
    with front_of.front(text) as front:
        assert front.ask("/media/a.css").text == "v1"
        for path in ("/apps/settings.py", "/", "/run/web.sock"):
            assert front.ask(path).text.strip() in ("", front.ask("/nowhere").text.strip())


def test_no_request_fails_and_none_goes_back_while_releases_change(front_of: Scene) -> None:
    front_of.release("v0")
    failed: list[object] = []
    counts = [0, 0]
    done = threading.Event()

    def read(number: int, path: str) -> None:
        last = 0
        while not done.is_set():
            try:
                answer = front.ask(path)
            except OSError as error:
                failed.append(error)
                continue
            seen = int(answer.text[1:]) if answer.status == 200 else -1
            if seen < last:
                failed.append((answer, last))
            last, counts[number] = max(seen, last), counts[number] + 1

    with front_of.front() as front:
        readers = [threading.Thread(target=read, args=it) for it in enumerate(("/static/a.css", "/page"))]
        for reader in readers:
            reader.start()
        try:
            for number in range(1, 11):
                front_of.release(f"v{number}")
        finally:
            done.set()
            for reader in readers:
                reader.join()
        assert failed == []
        assert min(counts) > 10
        assert (front.ask("/static/a.css").text, front.ask("/page").text) == ("v10", "v10")


def test_in_maintenance_everything_is_503(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        front_of.bench.site.maintenance_on("Back soon.")
        for method, path in (("GET", "/page"), ("POST", "/form"), ("GET", "/static/a.css"), ("GET", "/static/none")):
            answer = front.ask(path, method=method, body="x=1" if method == "POST" else None)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "90")
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Back soon." in answer.text
            assert answer.headers["Content-Type"].startswith("text/html")
        front_of.bench.site.maintenance_off()
        assert (front.ask("/page").status, front.ask("/page").text) == (200, "v1")
        assert front.ask("/static/a.css").text == "v1"


def test_the_release_that_answered_is_named(front_of: Scene) -> None:
    id = front_of.release("v1")
    with front_of.front() as front:
        assert front.ask("/own").headers["X-Release"] == "the application's own"
        wanted = id if front_of.kind == "nginx" else None  # the others can name it by the application only
        assert front.ask("/page").headers.get("X-Release") == wanted
        assert front.ask("/static/a.css").headers.get("X-Release") == wanted
        later = front_of.release("v2")
        wanted = later if front_of.kind == "nginx" else None
        assert front.ask("/page").headers.get("X-Release") == wanted
        assert front.ask("/static/a.css").headers.get("X-Release") == wanted


def test_a_printed_configuration_is_found_to_be_well(front_of: Scene) -> None:
    front_of.release("v1")
    with front_of.front() as front:
        found = [it for it in front_of.bench.site.check() if str(front.file.parent) in it.detail]
        assert [(it.what, it.ok) for it in found] == [(front_of.kind, True)]
