from django.test import SimpleTestCase

from .bread import TODAY


class PageTest(SimpleTestCase):
    def test_every_bread_is_on_the_page(self) -> None:
        page = self.client.get("/")
        for bread in TODAY:
            self.assertContains(page, bread.name)
            self.assertContains(page, bread.price)

    def test_the_page_names_three_versions_that_agree(self) -> None:
        page = self.client.get("/")
        for part in ("code", "template", "static"):
            self.assertContains(page, f'<dd id="{part}">1</dd>', html=True)
