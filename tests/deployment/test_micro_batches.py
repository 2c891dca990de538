import asyncio
from collections.abc import Sequence

import pytest

from flywheel.components.deployment.serving.micro_batches import MicroBatcher


def test_concurrent_requests_share_a_batch_and_keep_their_replies() -> None:
    sizes: list[int] = []

    def work(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return [value * 2 for value in batch]

    async def main() -> list[int]:
        batches: MicroBatcher[int, int] = MicroBatcher(work, largest=8, wait=0.01)
        return await asyncio.gather(*(batches.submit(number) for number in range(20)))

    assert asyncio.run(main()) == [number * 2 for number in range(20)]
    assert sizes[0] == 8
    assert sum(sizes) == 20


def test_a_failing_batch_fails_its_requests_only() -> None:
    def work(batch: Sequence[str]) -> list[str]:
        if "bad" in batch:
            raise ArithmeticError("no")
        return list(batch)

    async def main() -> None:
        batches: MicroBatcher[str, str] = MicroBatcher(work, wait=0.001)
        with pytest.raises(ArithmeticError):
            await batches.submit("bad")
        assert await batches.submit("good") == "good"

    asyncio.run(main())
