"""`manage.py versions` asks the site for its page and says which versions the page is made from."""

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.test import Client


class Command(BaseCommand):
    help = "Asks for the page and prints the versions that it names; fails if they differ."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        response = Client().get("/", headers={"host": "localhost"})
        if response.status_code != 200:
            raise CommandError(f"the page answered {response.status_code}")
        found = dict(re.findall(r'<dd id="(\w+)">\s*(\w+)\s*</dd>', response.text))
        line = ", ".join(f"{part} {found.get(part, 'missing')}" for part in ("code", "template", "static"))
        if len(found) != 3 or len(set(found.values())) != 1:
            raise CommandError(f"the page is a mixture: {line}")
        self.stdout.write(f"the page says: {line}")
