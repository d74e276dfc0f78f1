"""The best surfaces that keep their order, found exactly in every column, and improved together across columns.

N scans, S surfaces top to bottom, W columns, R = H + 1 rows at which a surface can lie (0..H: edges of H pixels).
Gains (N, S, W, R), float64: what a surface at that row adds to the score. Rows lie last because running maxima are ten
times as fast along memory. Which of several equally good solutions is returned is not said, but it is always the same.

The score of rows s: the sum of gains[k, x, s[k, x]] over surfaces k and columns x, less, between neighbouring columns,
smoothness * |s[k, x + 1] - s[k, x]|; s[k, x] <= s[k + 1, x] everywhere.
"""

import numpy as np
import torch
from torch import Tensor

from retseg.bscan import Array

# A sweep that adds no more than this to a score has converged.
LEAST_RISE = 1e-6

MARGIN = 16
"""Rows above the highest and below the lowest of all columns' own optima in which smooth surfaces are sought, too."""


def best_ordered_rows(gains: Tensor) -> Tensor:
    """Rows (N, S, W) int64 of the highest score without smoothness: the exact optimum of every column, in O(S R).

    Dynamic programming over surfaces: the best that surfaces 0..k can have with surface k at row r is its own gain
    there plus the best that 0..k-1 can have at any row up to r, a running maximum.
    """
    best, sources = gains[:, 0], []
    for surface in range(1, gains.shape[1]):
        highest, source = best.cummax(dim=-1)
        sources.append(source)
        best = highest + gains[:, surface]
    rows = [best.argmax(dim=-1)]
    for source in reversed(sources):
        rows.append(source.gather(-1, rows[-1].unsqueeze(-1)).squeeze(-1))
    return torch.stack(rows[::-1], dim=1)


def smooth_ordered_rows(gains: Tensor, smoothness: float, num_sweeps: int = 1) -> Tensor:
    """Rows (N, S, W) int64 of a high score with smoothness (score units a row of step), not always the highest.

    It starts from the better of two, `best_ordered_rows` and each surface's own best path (`_paths_on_their_own`). A
    sweep improves one block while the rest stays: every second surface, each exact along all columns given its two
    neighbours (Viterbi, with distance transforms: O(W R) a surface), then the others; every second column, each exact
    over all its surfaces given the two columns beside it, then the others. So the score never falls, order always
    holds, and once a sweep changes nothing no other single surface or column would be better; changes of several at
    once may be. (The exact optimum is a minimum cut: Ishikawa 2003, doi 10.1109/TPAMI.2003.1233908; Li et al. 2006,
    doi 10.1109/TPAMI.2006.19.) With one column, one surface or no smoothness it is the exact optimum.
    Rows more than MARGIN outside of what any column would choose by itself are not looked at; each scan by itself.
    """
    rows = best_ordered_rows(gains)
    if smoothness == 0 or gains.shape[2] == 1 or len(gains) == 0:
        return rows
    pairs = zip(gains, rows, strict=True)
    return torch.stack([_smoothed(of_scan, own, smoothness, num_sweeps) for of_scan, own in pairs])


def _smoothed(gains: Tensor, own: Tensor, smoothness: float, num_sweeps: int) -> Tensor:
    """Rows (S, W) of one scan from its gains (S, W, R) and every column's own optimum (S, W)."""
    top = max(int(own.min()) - MARGIN, 0)
    gains = gains[None, :, :, top : int(own.max()) + MARGIN + 1]
    rows = own[None] - top
    paths = _paths_on_their_own(gains, smoothness)
    score, path_score = ordered_score(gains, rows, smoothness), ordered_score(gains, paths, smoothness)
    if path_score > score:
        rows, score = paths, path_score
    for _ in range(num_sweeps):
        changed = rows.clone()
        for first in range(min(2, gains.shape[1])):
            _improve_surfaces(gains, changed, smoothness, first)
        for first in (0, 1):
            _improve_columns(gains, changed, smoothness, first)
        new_score = ordered_score(gains, changed, smoothness)
        if new_score <= score + LEAST_RISE:
            break
        rows, score = changed, new_score
    return rows[0] + top


def ordered_score(gains: Tensor, rows: Tensor, smoothness: float) -> Tensor:
    """Score (N,) of rows (N, S, W), as the head of this file defines it."""
    gained = gains.gather(-1, rows.unsqueeze(-1)).sum(dim=(1, 2, 3))
    steps = rows.diff(dim=-1).abs().sum(dim=(1, 2))
    return gained - smoothness * steps


def _paths_on_their_own(gains: Tensor, smoothness: float) -> Tensor:
    """Rows (N, S, W) int64, ordered: every surface's best path across columns by itself, then sorted in each column.

    A surface's gain at a row is here the best that its whole column can have with the surface there (max-marginals),
    so that layers without thickness move along. Sorting gives order and never lengthens the steps.
    """
    num_scans, num_surfaces, num_columns, num_rows = gains.shape
    from_above, from_below = [gains[:, 0]], [gains[:, -1]]
    for surface in range(1, num_surfaces):
        from_above.append(gains[:, surface] + from_above[-1].cummax(dim=-1).values)
        highest = from_below[-1].flip(-1).cummax(dim=-1).values.flip(-1)
        from_below.append(gains[:, num_surfaces - 1 - surface] + highest)
    best = torch.stack(from_above, dim=1) + torch.stack(from_below[::-1], dim=1) - gains
    found = best_path(best.permute(2, 0, 1, 3).reshape(num_columns, -1, num_rows).cpu().numpy(), smoothness)
    rows = torch.from_numpy(found).to(gains.device).reshape(num_columns, num_scans, num_surfaces)
    return rows.permute(1, 2, 0).sort(dim=1).values


def _improve_surfaces(gains: Tensor, rows: Tensor, smoothness: float, first: int) -> None:
    """Set surfaces first, first + 2, ... of rows (N, S, W) to their optimum given the others, in place."""
    num_scans, num_surfaces, num_columns, num_rows = gains.shape
    top = torch.nn.functional.pad(rows, (0, 0, 1, 0), value=0)[:, first:num_surfaces:2, :, None]
    bottom = torch.nn.functional.pad(rows, (0, 0, 0, 1), value=num_rows - 1)[:, first + 1 :: 2, :, None]
    row = torch.arange(num_rows, device=gains.device)
    allowed = gains[:, first::2].masked_fill((row < top) | (row > bottom), -torch.inf)
    paths = allowed.permute(2, 0, 1, 3).reshape(num_columns, -1, num_rows)
    found = torch.from_numpy(best_path(paths.cpu().numpy(), smoothness)).to(rows)
    rows[:, first::2] = found.reshape(num_columns, num_scans, -1).permute(1, 2, 0)


def best_path(gains: Array, smoothness: float) -> Array:
    """Rows (W, K) int64 of the highest score of each of K single surfaces across W columns, exact; gains (W, K, R).

    Viterbi. What a column may come from is the maximum over rows q of best[q] - smoothness * |r - q|: one running
    maximum from above and one from below (Felzenszwalb and Huttenlocher 2012, doi 10.4086/toc.2012.v008a019).
    """
    num_columns, num_paths, num_rows = gains.shape
    row = np.arange(num_rows)
    ramp = smoothness * row
    best = gains.copy()
    # Both running maxima in one call, the second one from below; PyTorch's is much faster than NumPy's.
    both = np.empty((2 * num_paths, num_rows))
    highest, source = torch.from_numpy(np.empty_like(both)), torch.empty(both.shape, dtype=torch.int64)
    from_above, from_below = highest.numpy()[:num_paths], highest.numpy()[num_paths:, ::-1]
    for column in range(1, num_columns):
        np.add(best[column - 1], ramp, out=both[:num_paths])
        np.subtract(best[column - 1], ramp, out=both[num_paths:, ::-1])
        torch.cummax(torch.from_numpy(both), dim=1, out=(highest, source))
        best[column] += np.maximum(from_above - ramp, from_below + ramp)
    rows = np.empty(best.shape[:2], np.int64)
    rows[-1] = best[-1].argmax(axis=1)
    for column in range(num_columns - 2, -1, -1):
        away = np.abs(row - rows[column + 1][:, None])
        rows[column] = (best[column] - smoothness * away).argmax(axis=1)
    return rows


def _improve_columns(gains: Tensor, rows: Tensor, smoothness: float, first: int) -> None:
    """Set columns first, first + 2, ... of rows (N, S, W) to their optimum given the others, in place."""
    row = torch.arange(gains.shape[-1], device=gains.device)
    own = gains[:, :, first::2].clone()
    left, right = rows[:, :, 1 - first : -1 : 2], rows[:, :, first + 1 :: 2]
    # The first of these columns may have no left neighbour, the last one no right neighbour.
    own[:, :, own.shape[2] - left.shape[-1] :] -= smoothness * (row - left.unsqueeze(-1)).abs()
    own[:, :, : right.shape[-1]] -= smoothness * (row - right.unsqueeze(-1)).abs()
    rows[:, :, first::2] = best_ordered_rows(own)
