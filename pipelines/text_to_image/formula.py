"""A step's arithmetic with its numbers: guidance, what the prediction means, and the sampler's update.

Every line is a weighted sum of tensors, so that the printed weights can be applied to the stored tensors again.

Symbols: x latents as the sampler holds them; x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps; sigma =
sqrt((1 - alpha_bar) / alpha_bar); ' is the next level; lambda = -log sigma, h = lambda' - lambda; z fresh noise.
"""

import math
from dataclasses import dataclass, field

import torch
from diffusers.utils.torch_utils import randn_tensor

from pipelines.text_to_image import samplers
from pipelines.text_to_image.branch import step_of
from pipelines.text_to_image.trace import Denoising, Step

SOURCES = {
    "ddim": "arXiv 2010.02502, eq. (12), (16)",
    "ddpm": "arXiv 2006.11239, eq. (6), (7)",
    "euler": "arXiv 2206.00364, algorithm 1, first order",
    "euler_a": "arXiv 2006.11239 as an Euler step to sigma_down, k-diffusion",
    "heun": "arXiv 2206.00364, algorithm 1",
    "dpmpp_2m": "arXiv 2211.01095, algorithm 2",
    "unipc": "arXiv 2302.04867, B(h) = e^h - 1",
    "lcm": "arXiv 2310.04378, algorithm 3",
}
GUIDANCE_SOURCE = "arXiv 2207.12598, eq. (6)"
PREDICTION_SOURCES = {"epsilon": "arXiv 2006.11239, eq. (15)", "v_prediction": "arXiv 2202.00512, appendix D"}

# How a tensor is written.
GLYPHS = {
    "x": "x",
    "x_next": "x′",
    "x_t": "xₜ",
    "x0": "x̂₀",
    "eps": "ε̂",
    "output": "F̂",
    "uncond": "F(∅)",
    "cond": "F(c)",
    "z": "z",
    "x0_1": "x̂₀⁽⁻¹⁾",
    "x0_2": "x̂₀⁽⁻²⁾",
    "x_last": "x⁽⁻¹⁾",
    "x_corrected": "xᶜ",
    "eps_first": "ε̂⁽¹⁾",
    "x_first": "x⁽¹⁾",
}


@dataclass(frozen=True)
class Term:
    """One summand. symbol: a key of GLYPHS. weight: its number at this step. written: the weight's formula, "√ᾱ′".
    rms: root mean square of the tensor itself, of the picture looked at."""

    symbol: str
    weight: float
    written: str
    rms: float = float("nan")


@dataclass(frozen=True)
class Line:
    """result = sum of weight times tensor. result: a key of GLYPHS. source: paper and equation."""

    result: str
    terms: tuple[Term, ...]
    source: str


@dataclass(frozen=True)
class Formula:
    """All lines of one call of the UNet, in order; the last gives the latents of the next call.

    values: numbers of this step by name: "t", "alpha_bar", "sigma", "alpha_bar_next", "sigma_next", "guidance_scale",
    "eta", "h"; those that this sampler has. second_call: of the two that Heun makes a step.
    max_difference: largest absolute difference of the lines, applied to the stored tensors, to the stored result;
    None where inpainting changed that afterwards.
    """

    sampler: str
    values: dict[str, float]
    lines: tuple[Line, ...]
    second_call: bool = False
    max_difference: float | None = None


@dataclass(frozen=True)
class _Place:
    """Where a step stands: its scheduler, made anew, and what that remembered before the call."""

    scheduler: object
    step: Step
    history: dict = field(default_factory=dict)

    @property
    def index(self) -> int:
        """Of the call in the sampler's list."""
        return self.step.index

    def sigma(self, offset: int) -> float:
        """The level of this call (0), of the next one (1), of the one before (-1)."""
        return float(self.scheduler.sigmas[self.index + offset])


def formula(model, denoising: Denoising, k: int, *, picture: int = 0) -> Formula:
    """The arithmetic of call k of a run, with its numbers.

    Args:
        model: the TextToImageModel that drew the run.
        denoising: the run.
        k: index in ``denoising.steps``.
        picture: which one of the batch ``rms`` and ``max_difference`` refer to.

    Raises:
        UserError: ``errors.step_outside``.
    """
    step = step_of(model, denoising, k)
    scheduler = samplers.create(model, step.settings.sampler, step.settings.steps)
    place = _Place(scheduler, step, step.state.history)
    lines = [*_guidance(step), *_meaning(step), *UPDATES[step.settings.sampler](place)]
    tensors, measured = tensors_of(denoising, k, picture=picture), []
    for line in lines:
        terms = tuple(
            Term(term.symbol, term.weight, term.written, _rms(tensors[term.symbol]))
            for term in line.terms
            if term.weight
        )
        measured.append(Line(line.result, terms, line.source))
        tensors[line.result] = apply(measured[-1], tensors)
    return Formula(
        sampler=step.settings.sampler,
        values=_values(place),
        lines=tuple(measured),
        second_call=step.settings.sampler == "heun" and place.history.get("prev_derivative") is not None,
        max_difference=_difference(denoising, k, tensors["x_next"], picture),
    )


def apply(line: Line, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """The weighted sum of a line, in float64. tensors: by symbol, of one shape."""
    return sum(term.weight * tensors[term.symbol].double() for term in line.terms)


def tensors_of(denoising: Denoising, k: int, *, picture: int = 0) -> dict[str, torch.Tensor]:
    """The stored tensors of a step that lines start from, by symbol, (C, h, w); noise is drawn again as it was."""
    step = denoising.steps[k]
    history = step.state.history
    outputs = history.get("model_outputs") or []
    stored = {
        "x": step.latents,
        "x_t": step.x_t,
        "uncond": step.output_uncond,
        "cond": step.output_cond,
        "x0_1": outputs[-1] if outputs else None,
        "x0_2": outputs[-2] if len(outputs) > 1 else None,
        "x_last": history.get("last_sample"),
        "eps_first": history.get("prev_derivative"),
        "x_first": history.get("sample"),
        "z": _noise(step),
    }
    return {symbol: values[picture].cpu() for symbol, values in stored.items() if values is not None}


def _noise(step: Step) -> torch.Tensor | None:
    if not samplers.is_stochastic(step.settings.sampler, eta=step.settings.eta):
        return None
    generators = samplers.generators_from(step.state)
    return randn_tensor(step.latents.shape, generator=generators, dtype=step.latents.dtype)


def _guidance(step: Step) -> list[Line]:
    if step.output_uncond is None:
        return [Line("output", (Term("cond", 1.0, "1"),), GUIDANCE_SOURCE)]
    scale = step.settings.guidance_scale
    return [Line("output", (Term("uncond", 1 - scale, "1 − w"), Term("cond", scale, "w")), GUIDANCE_SOURCE)]


def _meaning(step: Step) -> list[Line]:
    """The picture and the noise that the guided prediction means."""
    signal, noise = step.alpha_bar**0.5, (1 - step.alpha_bar) ** 0.5
    root, rest = "√ᾱ", "√(1 − ᾱ)"
    match step.prediction:
        case "v_prediction":
            x0 = (Term("x_t", signal, root), Term("output", -noise, f"−{rest}"))
            eps = (Term("x_t", noise, rest), Term("output", signal, root))
        case "epsilon":
            x0 = (Term("x_t", 1 / signal, f"1 / {root}"), Term("output", -noise / signal, f"−{rest} / {root}"))
            eps = (Term("output", 1.0, "1"),)
        case _:
            x0 = (Term("output", 1.0, "1"),)
            eps = (Term("x_t", 1 / noise, f"1 / {rest}"), Term("output", -signal / noise, f"−{root} / {rest}"))
    source = PREDICTION_SOURCES.get(step.prediction, PREDICTION_SOURCES["epsilon"])
    return [Line("x0", x0, source), Line("eps", eps, source)]


def _alpha_bars(place: _Place, next_timestep: int, *, last: float) -> tuple[float, float]:
    """alpha_bar now and at the next timestep; ``last`` where that is past the end."""
    table = place.scheduler.alphas_cumprod
    now = float(table[int(place.step.timestep)])
    return now, float(table[next_timestep]) if next_timestep >= 0 else float(last)


def _next_alpha_bar(place: _Place) -> float | None:
    """alpha_bar of the next level, of the samplers that count in timesteps; None for those that count in sigma."""
    scheduler, timestep = place.scheduler, int(place.step.timestep)
    match place.step.settings.sampler:
        case "ddim":
            following = timestep - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
            return _alpha_bars(place, following, last=scheduler.final_alpha_cumprod)[1]
        case "ddpm":
            return _alpha_bars(place, int(scheduler.previous_timestep(timestep)), last=scheduler.one)[1]
        case "lcm":
            at_end = place.index + 1 >= len(scheduler.timesteps)
            following = timestep if at_end else int(scheduler.timesteps[place.index + 1])
            return _alpha_bars(place, following, last=scheduler.final_alpha_cumprod)[1]
    return None


def _ddim(place: _Place) -> list[Line]:
    now, after = float(place.scheduler.alphas_cumprod[int(place.step.timestep)]), _next_alpha_bar(place)
    variance = (1 - after) / (1 - now) * (1 - now / after)
    deviation = place.step.settings.eta * variance**0.5
    terms = (
        Term("x0", after**0.5, "√ᾱ′"),
        Term("eps", max(1 - after - deviation**2, 0.0) ** 0.5, "√(1 − ᾱ′ − s²)"),
        Term("z", deviation, "s = η √((1 − ᾱ′) / (1 − ᾱ)) √(1 − ᾱ / ᾱ′)"),
    )
    return [Line("x_next", terms, SOURCES["ddim"])]


def _ddpm(place: _Place) -> list[Line]:
    timestep = int(place.step.timestep)
    now, after = float(place.scheduler.alphas_cumprod[timestep]), _next_alpha_bar(place)
    alpha = now / after
    deviation = float(place.scheduler._get_variance(timestep)) ** 0.5 if timestep > 0 else 0.0
    terms = (
        Term("x0", after**0.5 * (1 - alpha) / (1 - now), "√ᾱ′ (1 − α) / (1 − ᾱ), α = ᾱ / ᾱ′"),
        Term("x", alpha**0.5 * (1 - after) / (1 - now), "√α (1 − ᾱ′) / (1 − ᾱ)"),
        Term("z", deviation, "√((1 − ᾱ′) / (1 − ᾱ) (1 − α))"),
    )
    return [Line("x_next", terms, SOURCES["ddpm"])]


def _euler(place: _Place) -> list[Line]:
    terms = (Term("x", 1.0, "1"), Term("eps", place.sigma(1) - place.sigma(0), "σ′ − σ"))
    return [Line("x_next", terms, SOURCES["euler"])]


def _euler_a(place: _Place) -> list[Line]:
    now, after = place.sigma(0), place.sigma(1)
    up = (after**2 * (now**2 - after**2) / now**2) ** 0.5
    down = (after**2 - up**2) ** 0.5
    terms = (
        Term("x", 1.0, "1"),
        Term("eps", down - now, "σ_down − σ, σ_down² = σ′² − σ_up²"),
        Term("z", up, "σ_up = σ′ √(σ² − σ′²) / σ"),
    )
    return [Line("x_next", terms, SOURCES["euler_a"])]


def _heun(place: _Place) -> list[Line]:
    if place.history.get("prev_derivative") is None:
        return [Line("x_next", _euler(place)[0].terms, SOURCES["heun"])]
    half = (place.sigma(0) - place.sigma(-1)) / 2
    terms = (Term("x_first", 1.0, "1"), Term("eps_first", half, "(σ′ − σ) / 2"), Term("eps", half, "(σ′ − σ) / 2"))
    return [Line("x_next", terms, SOURCES["heun"])]


def _scales(sigma: float) -> tuple[float, float]:
    """(signal, noise) of a level: sqrt(alpha_bar), sqrt(1 - alpha_bar)."""
    signal = (1 + sigma**2) ** -0.5
    return signal, sigma * signal


def _dpmpp_2m(place: _Place) -> list[Line]:
    scheduler, config = place.scheduler, place.scheduler.config
    count = len(scheduler.timesteps)
    at_end = place.index == count - 1 and (
        config.euler_at_final or (config.lower_order_final and count < 15) or config.final_sigmas_type == "zero"
    )
    now, after = place.sigma(0), place.sigma(1)
    signal, noise = _scales(after)
    ratio, gain = noise / _scales(now)[1], signal * (1 - after / now)
    carried = Term("x", ratio, "√(1 − ᾱ′) / √(1 − ᾱ)")
    if place.history.get("lower_order_nums", 0) < 1 or at_end:
        return [Line("x_next", (carried, Term("x0", gain, "√ᾱ′ (1 − e^−h)")), SOURCES["dpmpp_2m"])]
    share = 0.5 * math.log(now / after) / math.log(place.sigma(-1) / now)
    terms = (
        carried,
        Term("x0", gain * (1 + share), "√ᾱ′ (1 − e^−h) (1 + h / 2h⁽⁻¹⁾)"),
        Term("x0_1", -gain * share, "−√ᾱ′ (1 − e^−h) h / 2h⁽⁻¹⁾"),
    )
    return [Line("x_next", terms, SOURCES["dpmpp_2m"])]


def _unipc(place: _Place) -> list[Line]:
    """The corrector mends the latents that came in with what the UNet now says of them; the predictor goes on."""
    scheduler, sample, lines = place.scheduler, "x", []
    if place.index > 0 and place.history.get("last_sample") is not None:
        sample = "x_corrected"
        lines.append(Line(sample, _unipc_corrector(place), SOURCES["unipc"]))
    left = len(scheduler.timesteps) - place.index if scheduler.config.lower_order_final else 2
    order = min(scheduler.config.solver_order, left, place.history.get("lower_order_nums", 0) + 1)
    now, after = place.sigma(0), place.sigma(1)
    signal, noise = _scales(after)
    gain = signal * (1 - after / now)
    share = 0.0 if order == 1 else 0.5 * math.log(now / after) / math.log(place.sigma(-1) / now)
    terms = (
        Term(sample, noise / _scales(now)[1], "√(1 − ᾱ′) / √(1 − ᾱ)"),
        Term("x0", gain * (1 + share), "√ᾱ′ (1 − e^−h) (1 + h / 2h⁽⁻¹⁾)" if share else "√ᾱ′ (1 − e^−h)"),
        Term("x0_1", -gain * share, "−√ᾱ′ (1 − e^−h) h / 2h⁽⁻¹⁾"),
    )
    return [*lines, Line("x_next", terms, SOURCES["unipc"])]


def _unipc_corrector(place: _Place) -> tuple[Term, ...]:
    """UniC of order 1 or 2, from the level before to this one: arXiv 2302.04867, eq. (5), with B(h) = e^h - 1."""
    before, now = place.sigma(-1), place.sigma(0)
    signal, noise = _scales(now)
    gain = signal * (1 - now / before)
    carried = Term("x_last", noise / _scales(before)[1], "√(1 − ᾱ) / √(1 − ᾱ⁽⁻¹⁾)")
    if place.history["this_order"] == 1:
        halves = (Term("x0_1", gain / 2, "√ᾱ (1 − e^−h) / 2"), Term("x0", gain / 2, "√ᾱ (1 − e^−h) / 2"))
        return (carried, *halves)
    h = math.log(before / now)
    r = -math.log(place.sigma(-2) / before) / h  # where the level before that one lies, in steps of h
    phi = math.expm1(-h)
    first = phi / -h - 1
    b = (first / phi, 2 * (first / -h - 0.5) / phi)
    rho_1 = (b[1] - b[0]) / (r - 1)  # of the 2 x 2 system [[1, 1], [r, 1]] rho = b
    rho_2 = b[0] - rho_1
    written = "√ᾱ (1 − e^−h)"
    return (
        carried,
        Term("x0", gain * rho_2, f"{written} ρ₂"),
        Term("x0_1", gain * (1 - rho_1 / r - rho_2), f"{written} (1 − ρ₁ / r − ρ₂)"),
        Term("x0_2", gain * rho_1 / r, f"{written} ρ₁ / r"),
    )


def _lcm(place: _Place) -> list[Line]:
    scheduler = place.scheduler
    skip, out = (float(value) for value in scheduler.get_scalings_for_boundary_condition_discrete(place.step.timestep))
    if place.index == scheduler.num_inference_steps - 1:
        signal, noise, written = 1.0, 0.0, ""
    else:
        after = _next_alpha_bar(place)
        signal, noise, written = after**0.5, (1 - after) ** 0.5, "√ᾱ′ "
    terms = (
        Term("x0", signal * out, f"{written}c_out"),
        Term("x", signal * skip, f"{written}c_skip"),
        Term("z", noise, "√(1 − ᾱ′)"),
    )
    return [Line("x_next", terms, SOURCES["lcm"])]


UPDATES = {
    "ddim": _ddim,
    "ddpm": _ddpm,
    "euler": _euler,
    "euler_a": _euler_a,
    "heun": _heun,
    "dpmpp_2m": _dpmpp_2m,
    "unipc": _unipc,
    "lcm": _lcm,
}


def _values(place: _Place) -> dict[str, float]:
    step, settings = place.step, place.step.settings
    after = _next_alpha_bar(place)
    if after is None:
        sigma = place.sigma(0 if place.history.get("prev_derivative") is not None else 1)
        after = 1 / (1 + sigma**2)
    values = {"t": step.timestep, "alpha_bar": step.alpha_bar, "sigma": step.sigma}
    values |= {"alpha_bar_next": after, "sigma_next": ((1 - after) / after) ** 0.5}
    if step.output_uncond is not None:
        values["guidance_scale"] = settings.guidance_scale
    if settings.sampler == "ddim":
        values["eta"] = settings.eta
    if settings.sampler in ("dpmpp_2m", "unipc") and values["sigma_next"] > 0:
        values["h"] = math.log(step.sigma / values["sigma_next"])
    return values


def _difference(denoising: Denoising, k: int, x_next: torch.Tensor, picture: int) -> float | None:
    if getattr(denoising.start, "mask", None) is not None:
        return None
    is_last = k + 1 == len(denoising.steps)
    stored = denoising.latents if is_last else denoising.steps[k + 1].latents
    return float((x_next - stored[picture].double()).abs().max())


def _rms(tensor: torch.Tensor) -> float:
    return float(tensor.double().square().mean().sqrt())
