from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Bread:
    name: str
    flour: str
    price: Decimal


TODAY = (
    Bread("Miche", "wheat, stone-ground", Decimal("6.40")),
    Bread("Rugbrød", "rye, cracked and whole", Decimal("5.80")),
    Bread("Focaccia", "durum, with rosemary", Decimal("4.20")),
)
