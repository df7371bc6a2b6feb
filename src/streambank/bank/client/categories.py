"""Categories: what entries are for."""

from streambank.bank.client.part import Part, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.transactions.schemas import CategoryBody, CategoryList, CategoryView


class Categories(Part):
    """Your categories."""

    service = "transactions"

    def list(self, *, account_id: str | None = None) -> "list[Versioned[CategoryView]]":
        """All of them; those of an account that is shared with you, if it is named."""
        return versioned(self._get(CategoryList, "/v1/categories", {"account_id": account_id}).items)

    def add(self, body: CategoryBody, *, key: str | None = None) -> Versioned[CategoryView]:
        """Add a category."""
        return self._post_versioned(CategoryView, "/v1/categories", body, key)

    def get(self, category_id: str) -> Versioned[CategoryView]:
        """One category."""
        return self._get_versioned(CategoryView, path_of("categories", category_id))

    def replace(self, category: Versioned[CategoryView], body: CategoryBody) -> Versioned[CategoryView]:
        """Rename or move a category."""
        return self._change(CategoryView, "PUT", path_of("categories", category.value.id), category, body)

    def remove(self, category: Versioned[CategoryView]) -> None:
        """Delete a category; its entries have none then."""
        self._send("DELETE", path_of("categories", category.value.id), version=category.version)
