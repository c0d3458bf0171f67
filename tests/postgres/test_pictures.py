"""Pictures that the catalogue names are fetched once, made small, and forgotten; nothing else can be had by this way."""

import asyncio

import pytest
from tests.picture_host import picture, picture_host

from malha.catalog import reads as catalog
from malha.catalog import service as products
from malha.catalog.model import MediaDraft, ProductDraft, VariantDraft
from malha.catalog.pictures import reads, service
from malha.catalog.pictures.model import Size, Wanted, key_of
from malha.platform import signing
from malha.platform.flaws import Invalid
from malha.platform.settings import Settings
from malha.platform.signing import Keys

KEYS = Keys(b"k" * 32)
JOBS = "SELECT count(*) FROM malha_jobs.procrastinate_jobs WHERE task_name = 'catalog.fetch_pictures'"


@pytest.fixture
def host():
    with picture_host() as made:
        yield made


def settings(database, tmp_path, *allow):
    return Settings(database_url=database.url, data_dir=tmp_path, outward_allow=allow)


async def want(database, *urls):
    async with database.transaction() as tx:
        return await service.want(tx, KEYS, [Wanted(url, service.mark_of(KEYS, url)) for url in urls])


async def fetch(database, tmp_path, *urls, allow=("127.0.0.1",)):
    await service.fetch.work(database, settings(database, tmp_path, *allow), keys=[key_of(url) for url in urls])


async def told(database, *urls):
    async with database.transaction() as tx:
        found = await reads.told(tx, [key_of(url) for url in urls])
    return [(found[key_of(url)].state, found[key_of(url)].why) if key_of(url) in found else None for url in urls]


async def test_what_a_page_asks_for_is_fetched_once_and_comes_in_both_sizes(database, tmp_path, host):
    url = host.put("/mug.jpg", picture())
    assert [one.state for one in await want(database, url, url)] == ["wanted"]
    assert [one.state for one in await want(database, url)] == ["wanted"]
    async with database.transaction() as tx:
        assert await tx.value(JOBS) == 1
        assert await reads.picture(tx, key_of(url), Size.SMALL) is None
    await fetch(database, tmp_path, url)
    await fetch(database, tmp_path, url)  # a job may run twice
    assert host.asked == {"/mug.jpg": 1}
    async with database.transaction() as tx:
        small, large = [await reads.picture(tx, key_of(url), size) for size in Size]
    assert small[8:12] == large[8:12] == b"WEBP"
    assert len(small) < len(large)
    assert [(one.state, one.why) for one in await want(database, url)] == [("kept", "")]


async def test_two_pages_that_ask_at_once_have_it_fetched_once(database, tmp_path, host):
    urls = [host.put(f"/{n}.jpg", picture()) for n in range(40)]
    await asyncio.gather(*(want(database, *(urls if n % 2 else reversed(urls))) for n in range(6)))
    async with database.transaction() as tx:
        rows = await tx.values(
            "SELECT args->'keys' FROM malha_jobs.procrastinate_jobs WHERE task_name = 'catalog.fetch_pictures'"
        )
    assert sorted(key for keys in rows for key in keys) == sorted(map(key_of, urls))


async def test_what_cannot_be_shown_is_kept_with_the_reason(database, tmp_path, host):
    good = host.put("/good.jpg", picture())
    page = host.put("/page.html", b"<!doctype html><title>Not here</title>")
    large = host.put("/large.jpg", b"\xff\xd8" + b"0" * (8 << 20))
    gone, moved = f"{host.url}/gone.jpg", f"{host.url}/moved.jpg"
    host.moved["/moved.jpg"] = "http://127.0.0.1:1/inside"
    urls = [good, page, large, gone, moved]
    await want(database, *urls)
    await fetch(database, tmp_path, *urls)
    assert await told(database, *urls) == [
        ("kept", ""), ("refused", "no_picture"), ("refused", "answer"), ("refused", "answer"), ("refused", "answer"),
    ]  # fmt: skip
    assert host.asked["/moved.jpg"] == 1


async def test_addresses_of_ones_own_network_are_not_asked(database, tmp_path, host):
    urls = [
        host.put("/a.jpg", picture()),
        "https://127.0.0.1/a.jpg",
        "https://169.254.169.254/latest",
        "http://1.1.1.1/a",
    ]
    await want(database, *urls)
    await fetch(database, tmp_path, *urls, allow=())
    assert await told(database, *urls) == [("refused", "refused")] * 4
    assert not host.asked


async def test_nobody_can_have_an_address_asked_that_no_page_named(database, host):
    url, other = host.put("/a.jpg", picture()), host.put("/b.jpg", picture())
    marks = ["", "x", service.mark_of(KEYS, other), service.mark_of(Keys(b"o" * 32), url)]
    for mark in marks:
        with pytest.raises(signing.TokenWrong):
            async with database.transaction() as tx:
                await service.want(tx, KEYS, [Wanted(other, service.mark_of(KEYS, other)), Wanted(url, mark)])
    assert await told(database, url, other) == [None, None]
    many = [Wanted(url, service.mark_of(KEYS, url))] * (service.MOST + 1)
    with pytest.raises(Invalid):
        async with database.transaction() as tx:
            await service.want(tx, KEYS, many)


async def test_old_ones_are_forgotten_and_refused_ones_sooner(database, tmp_path, host):
    kept, gone, young = host.put("/a.jpg", picture()), f"{host.url}/gone.jpg", host.put("/b.jpg", picture())
    await want(database, kept, gone, young)
    await fetch(database, tmp_path, kept, gone, young)
    for days, left in (("1 hour", ["kept", None, "kept"]), ("31 days", [None, None, "kept"])):
        async with database.transaction() as tx:
            old = [key_of(kept), key_of(gone)]
            await tx.execute(
                "UPDATE picture SET told_at = now() - %(ago)s::interval WHERE key = ANY (%(old)s::text[])",
                {"ago": days, "old": old},
            )
            await service.forget(tx)
        assert [one and one[0] for one in await told(database, kept, gone, young)] == left
    assert [one.state for one in await want(database, gone)] == ["wanted"]


async def test_the_first_picture_of_a_sku_is_its_own_before_its_products(database):
    def media(*names):
        return [MediaDraft(url=f"https://img.example/{name}.jpg") for name in names]

    draft = ProductDraft(
        code="MUG", name="Mug", media=media("front", "back"), options=["Colour"],
        variants=[
            VariantDraft(sku="MUG-R", name="Mug, red", price=1, options={"Colour": "Red"}, media=media("red", "red-2")),
            VariantDraft(sku="MUG-B", name="Mug, blue", price=1, options={"Colour": "Blue"}),
        ],
    )  # fmt: skip
    bare = ProductDraft(code="BARE", name="Bare", variants=[VariantDraft(sku="BARE", name="Bare", price=1)])
    async with database.transaction() as tx:
        await products.put_products(tx, [draft, bare])
        assert await catalog.images_of_skus(tx, ["MUG-R", "MUG-B", "BARE", "NONE"]) == {
            "MUG-R": "https://img.example/red.jpg",
            "MUG-B": "https://img.example/front.jpg",
        }
        assert await catalog.images_of_products(tx, ["MUG", "BARE"]) == {"MUG": "https://img.example/front.jpg"}
