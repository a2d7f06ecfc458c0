"""A model of several ranks. Each multiplies a number by its own, counted from 1, and the answer is the sum.

Where torch is they use it for that, elsewhere files in the folder that RANKS names.
"""

import os
import pathlib
import time
from typing import Any, List

RANK = int(os.environ.get("RANK", "0"))
SIZE = int(os.environ.get("WORLD_SIZE", "1"))


def handle(data: Any, context: Any) -> Any:
    config = context.model_yaml_config
    if data is None:
        if config.get("failing") == RANK:
            raise ValueError("rank %d cannot load" % RANK)
        if config.get("torch"):
            import torch.distributed

            torch.distributed.init_process_group("gloo")
        return None
    if context.get_request_header(0, "describe"):
        return [{"rank": RANK}]
    shares = [(RANK + 1) * int(bytes(row["body"])) for row in data]
    if config["parallelType"] == "pp":
        return ["%d at rank %d" % (share, RANK) for share in shares]
    reduce = with_torch if config.get("torch") else with_files
    return ["%d" % total for total in reduce(shares, context.get_request_id(0))]


def with_torch(shares: List[int], _request: str) -> List[int]:
    import torch

    numbers = torch.tensor(shares)
    torch.distributed.all_reduce(numbers)
    return [int(number) for number in numbers]


def with_files(shares: List[int], request: str) -> List[int]:
    folder = pathlib.Path(os.environ["RANKS"])
    mine = folder / ("%s.%d" % (request, RANK))
    unfinished = folder / ("%s.%d.new" % (request, RANK))
    unfinished.write_text(" ".join(map(str, shares)))
    unfinished.rename(mine)
    totals = [0] * len(shares)
    for rank in range(SIZE):
        other = folder / ("%s.%d" % (request, rank))
        while not other.exists():
            time.sleep(0.002)
        totals = [total + int(share) for total, share in zip(totals, other.read_text().split())]
    return totals
