"""The quantiser with its numbers: nearest code, straight-through step, codebook and commitment loss.

Symbols: z the encoder's vector of a cell, D numbers; e_j the codes; sg what no gradient passes through. The code
chosen is e = e_k, k = argmin_j ||z - e_j|| (arXiv 1711.00937, eq. (2)); the decoder gets z + sg(e - z), which is e.
The quantiser's share of the loss is ||sg(z) - e||^2 + beta ||z - sg(e)||^2 (eq. (3); 2012.09841, eq. (4), without the
beta, which its text and code have). ``VectorQuantizer`` of diffusers takes means over D where the papers write sums.
"""

from dataclasses import dataclass

import numpy as np
import torch

from pipelines.runtime.errors import UserError
from pipelines.tokenise.code import COMPARISONS, Tokens
from pipelines.tokenise.models import TokeniseModel

NEAREST = 8


@dataclass(frozen=True)
class Cell:
    """The quantiser at one cell.

    latent: z, (D,) float32. index: k, the code that the model chose. code: e, (D,) float32. nearest: (n,) int32, the
    best codes, nearest first. distances: (n,) float32, their squared distances ||z - e_j||^2, sums over D. straight:
    z + (e - z) in float32, (D,). codebook, commitment: the cell's two losses, sums over D, the second with beta.
    """

    row: int
    column: int
    latent: np.ndarray
    index: int
    code: np.ndarray
    nearest: np.ndarray
    distances: np.ndarray
    straight: np.ndarray
    codebook: float
    commitment: float


@dataclass(frozen=True, eq=False)
class Quantising:
    """The quantiser at every cell of a picture.

    latents, codes: (h, w, D) float32. indices: (h, w) int32, as the model chose them. nearest: (h, w, n) int32 and
    distances: (h, w, n) float32, the best codes of each cell and their squared distances, computed in float64. beta:
    weight of the commitment loss.
    """

    latents: np.ndarray
    codes: np.ndarray
    indices: np.ndarray
    nearest: np.ndarray
    distances: np.ndarray
    beta: float

    @property
    def errors(self) -> np.ndarray:
        """(h, w) float32: ||z - e||^2 of each cell, a sum over D."""
        return np.square(self.latents.astype(np.float64) - self.codes).sum(axis=-1).astype(np.float32)

    @property
    def codebook_loss(self) -> float:
        """Mean over cells and over D, as training counts it."""
        return float(np.square(self.latents.astype(np.float64) - self.codes).mean())

    @property
    def commitment_loss(self) -> float:
        """beta times the same mean: the numbers are equal, the gradients go to e there and to z here."""
        return self.beta * self.codebook_loss

    def cell(self, row: int, column: int) -> Cell:
        """One of them.

        Raises:
            UserError: ``errors.token_outside``.
        """
        rows, columns = self.indices.shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise UserError("errors.token_outside", row=row, column=column, rows=rows, columns=columns)
        z, e = self.latents[row, column], self.codes[row, column]
        error = float(np.square(z.astype(np.float64) - e).sum())
        return Cell(
            row=row,
            column=column,
            latent=z,
            index=int(self.indices[row, column]),
            code=e,
            nearest=self.nearest[row, column],
            distances=self.distances[row, column],
            straight=z + (e - z),
            codebook=error,
            commitment=self.beta * error,
        )


def quantising(model: TokeniseModel, tokens: Tokens, *, nearest: int = NEAREST) -> Quantising:
    """Search the nearest codes of every cell again, in float64, and keep the best of them.

    Args:
        tokens: of a picture, by this model.
        nearest: how many codes are kept of each cell; at most as many as there are.
    """
    quantiser = model.module.quantize
    book = quantiser.embedding.weight.detach().cpu().double()
    latents = torch.from_numpy(tokens.latents).flatten(0, 1).double()
    bands = latents.split(max(1, COMPARISONS // (4 * len(book))))  # all distances of a large grid are gigabytes
    found = [_best(band, book, min(nearest, len(book))) for band in bands]
    shape = (*tokens.indices.shape, -1)
    return Quantising(
        latents=tokens.latents,
        codes=book.float().numpy()[tokens.indices],
        indices=tokens.indices,
        nearest=torch.cat([indices for indices, _ in found]).view(shape).int().numpy(),
        distances=torch.cat([distances for _, distances in found]).view(shape).float().numpy(),
        beta=float(quantiser.beta),
    )


def _best(latents: torch.Tensor, book: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, D) and (codes, D) to the best codes (n, count) and their squared distances, nearest first.

    They are searched by ||z||^2 - 2 z.e + ||e||^2, one product of matrices; those found are measured by differences,
    in which nothing cancels.
    """
    found = torch.cdist(latents, book).topk(count, largest=False).indices
    distances, order = (latents[:, None] - book[found]).square().sum(dim=-1).sort(dim=1)
    return found.gather(1, order), distances


def straight_through(latents: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """z + sg(e - z): the codes' numbers, with the gradient of the latents (1711.00937, section 3.2).

    latents, codes: of one shape. The gradient that reaches the result goes to the latents as it is, and to the codes
    not at all.
    """
    return latents + (codes - latents).detach()
