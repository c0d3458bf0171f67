"""What a page says once after something was done: on the page it was said for, and on no other."""

import re

from tests_http import Shop

from malha.testing import builders


async def test_a_notice_is_shown_by_the_page_it_is_for_and_not_by_those_opened_next(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await builders.a_network(tx)
    owner = await shop.session()
    form = {"name": "Expresso", "code": "EXP", "carrier": "Jadlog", "method": "ship", "active": "on"}
    sent = await shop.http.post("/services:new", data=form, headers=owner)
    assert sent.status_code == 303
    kept = sent.headers["set-cookie"].partition(";")[0]
    headers = {**owner, "cookie": f"{owner.get('cookie', '')}; {kept}".strip("; ")}
    told = {}
    for address in (sent.headers["location"], "/services"):
        page = (await shop.http.get(address, headers=headers)).text
        shown = re.sub("<template.*?</template>", "", page, flags=re.DOTALL)  # those that scripts show
        told[address] = shown.count("data-toast>")
    assert told == {sent.headers["location"]: 1, "/services": 0}
