"""What each user dealt with, one thing after another, in rows of one length."""

import numpy as np

from ssljax.data.dataset import Rows


class Histories:
    """The items of each user in the order of time, of which a row holds the last."""

    def __init__(self, user: np.ndarray, item: np.ndarray, *, users: int, length: int) -> None:
        """user, item: int [N], below each other in the order of time. users: how many there are.
        length: items of a row."""
        order = np.argsort(user, kind="stable")
        self._item, self.length = item[order].astype(np.int32), length
        ends = np.searchsorted(user[order], np.arange(users + 1))
        self._start, self._end = ends[:-1], ends[1:]

    @property
    def count(self) -> np.ndarray:
        """Items of each user, int [users]."""
        return self._end - self._start

    def rows(self, user: np.ndarray) -> Rows:
        """sequence int32 [B, L], the newest item in the last column, and real bool [B, L], false in
        front where a user has fewer; of users by number, int [B]."""
        at = self._end[user][:, None] + np.arange(-self.length, 0)
        real = at >= self._start[user][:, None]
        return {"sequence": np.where(real, self._item[np.where(real, at, 0)], 0), "real": real}
