"""Learned days are kept as they are, down to what hardly ever happens."""

from malha.promising import keeping, reads
from malha.promising.keeping import Learned
from malha.promising.lived import Lived, Readiness
from malha.testing.builders import a_network


async def test_chances_too_small_for_their_column_are_none_and_stop_nothing(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        small = (0.75, 0.25, 3e-25, 2.1e-46, 5e-324, 0.0)
        lane, place = (world.services["standard"], "SP", "RJ"), (world.locations["DC"], "ship", 0)
        learned = Learned(
            level=0.9, worth=None, lanes={lane: Lived(small, 250)}, ready={place: Readiness(small, 250)}, doubts={}
        )
        version = await keeping.keep(tx, learned)
        assert version is not None
        kept = await tx.value("SELECT chances FROM promise_days WHERE version_id = %s", (version,))
        assert [round(chance, 6) for chance in kept] == [0.75, 0.25, 0, 0, 0, 0]
        assert kept[2] > 0
        assert (await tx.tuples(reads.READY, {"version": version}))[0][-1] == kept
