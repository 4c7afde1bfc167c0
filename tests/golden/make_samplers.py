"""Makes tests/data/samplers.json, tests/data/brownian.json and tests/golden/samplers: what k-diffusion, torchsde, NumPy and
diffusers compute.

    python tests/golden/make_samplers.py
    python tests/golden/make_samplers.py --spread    # writes nothing

In the first a pseudo-model (`m = sin(x / 2 + t / 100)` of the scaled input) stands for the UNet. Kept is how each run ends, for
every count of steps from 1 to 50, and the levels of the schedules. The last has the final latents of whole runs of the tiny models,
guided, by their own configuration. The noise of a step is drawn from `torch.randn` on the processor, or from k-diffusion's own
`BrownianTreeNoiseSampler`.

k-diffusion (MIT) is the origin of its samplers and schedules; torchsde (Apache-2.0) of Brownian paths; diffusers (Apache-2.0) of
UniPC, PLMS, DDPM, TCD and DDIM with eta; its authors' code (`er_sde`) of ER-SDE. Schedules that k-diffusion has not, and Restart, are written here from their papers and
from notes of what A1111 and ComfyUI do, not from their code.

`--spread` prints how far the ends of runs with Brownian noise move where each of the network's answers is changed by a millionth: of what
two programs that round differently can agree on, no more is to be had. Beside that, how far k-diffusion's own end in f32 is from the one
in f64, of the same levels and noise.
"""

import json
import math
import os
import sys
import types
import zlib
from pathlib import Path

import diffusers
import numpy as np
import torch
import torchsde
from safetensors.torch import save_file
from scipy import stats

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data"
STABLE_DIFFUSION = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
                    "set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False}
SHAPE = (1, 1, 2, 2)


def k_diffusion():
    """k-diffusion's `sampling` and `external` without what its package needs to train."""
    import importlib.util
    folder = Path(importlib.util.find_spec("k_diffusion").origin).parent
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(folder)]
    sys.modules["k_diffusion"] = package
    utils = types.ModuleType("k_diffusion.utils")
    utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]
    sys.modules["k_diffusion.utils"] = package.utils = utils
    odeint = types.ModuleType("torchdiffeq")  # for likelihoods, which are not asked for
    odeint.odeint = None
    sys.modules.setdefault("torchdiffeq", odeint)
    import k_diffusion.external
    import k_diffusion.sampling
    return k_diffusion


K = k_diffusion()


def alphas(config):
    return diffusers.EulerDiscreteScheduler.from_config(config).alphas_cumprod


def answer(x, t):
    """The pseudo-model's answer to the scaled input at a timestep."""
    return torch.sin(x * 0.5 + t * 0.01)


def wrapped(config, net=answer):
    """A model as A1111 wraps it: timesteps from levels, straight between the logarithms."""
    inner = types.SimpleNamespace(alphas_cumprod=alphas(config))
    inner.apply_model = lambda x, t, cond=None: net(x, t.view(-1, 1, 1, 1))
    kind = K.external.CompVisVDenoiser if config.get("prediction_type") == "v_prediction" else K.external.CompVisDenoiser
    model = kind(inner)
    return lambda x, sigma: model(x, sigma, cond=None), model


def ends(model):
    return model.sigmas[0].item(), model.sigmas[-1].item()


def log_linear(table, n):
    ys = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(table)), np.log(table))
    return np.exp(ys)


ALIGNED = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]


def levels(schedule, n, model, config, nearest=False):
    """The levels of a schedule, the clean end last; with the powers of Karras' the nearest f32, which PyTorch's are not everywhere,
    where a Brownian path is to be the same (see `middles`).
    """
    low, high = ends(model)
    every = model.sigmas.numpy()
    if schedule == "karras" and nearest:
        base = high ** (1 / 7) + torch.linspace(0, 1, n) * (low ** (1 / 7) - high ** (1 / 7))
        return K.sampling.append_zero((base.double() ** 7).float())
    if schedule == "karras":
        return K.sampling.get_sigmas_karras(n, low, high)
    if schedule == "exponential":
        return K.sampling.get_sigmas_exponential(n, low, high)
    if schedule == "polyexponential":
        return K.sampling.get_sigmas_polyexponential(n, low, high)
    if schedule == "normal":
        return model.get_sigmas(n)
    if schedule == "sgm-uniform":
        return K.sampling.append_zero(model.t_to_sigma(torch.linspace(len(every) - 1, 0, n + 1)[:-1]))
    if schedule == "default":  # of the sampler's class in diffusers
        scheduler = diffusers.EulerDiscreteScheduler.from_config(config)
        scheduler.set_timesteps(n)
        return scheduler.sigmas
    if schedule == "simple":
        found = [every[-1 - int(i * len(every) / n)] for i in range(n)]
    elif schedule == "ddim-uniform":
        found = every[1::max(len(every) // n, 1)][::-1][:n]
    elif schedule == "beta":
        places = np.rint(stats.beta.ppf(1 - np.arange(n) / n, 0.6, 0.6) * (len(every) - 1)).astype(int)
        assert len(set(places)) == n
        found = every[places]
    elif schedule == "align-your-steps":
        found = log_linear(ALIGNED, n + 1)[:-1]
    return K.sampling.append_zero(torch.tensor(np.array(found), dtype=torch.float32))


def restart(model, x, sigmas, randn):
    """Restart by its paper: Heun's steps, and back up between the levels nearest to 0.1 and 2."""
    def heun(x, a, b):
        d = K.sampling.to_d(x, a, model(x, a * x.new_ones([1])))
        y = x + d * (b - a)
        if b == 0:
            return y
        return x + (d + K.sampling.to_d(y, b, model(y, b * x.new_ones([1])))) / 2 * (b - a)

    steps = len(sigmas) - 1
    again, times = (0, 0) if steps < 20 else (9, 1) if steps < 36 else (steps // 4, 2)
    if times:
        sigmas = K.sampling.get_sigmas_karras(steps - again * times, sigmas[-2].item(), sigmas[0].item())
    way = list(zip(sigmas[:-1], sigmas[1:]))
    if times:
        low, high = (int((sigmas - level).abs().argmin()) for level in (0.1, 2))
        back = K.sampling.get_sigmas_karras(again + 1, sigmas[low].item(), sigmas[high].item())[:-1]
        way[low:low] = list(zip(back[:-1], back[1:])) * times
    at = way[0][0]
    for a, b in way:
        if a > at:
            x = x + randn() * (a ** 2 - at ** 2) ** 0.5
        x, at = heun(x, a, b), b
    return x


def er_sde(model, x, sigmas, randn):
    """ER-SDE-Solver-3 by its authors' code (MIT), https://github.com/QinpengCui/ER-SDE-Solver at 9c4b527, whose `er_sde_solver.py` is
    where the environment's ER_SDE_SOLVER says.
    """
    import importlib.util
    spec = importlib.util.spec_from_file_location("er_sde_solver", os.environ["ER_SDE_SOLVER"])
    origin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(origin)

    class Torch:
        def __getattr__(self, name):
            return getattr(torch, name)

        def randn_like(self, value):
            return randn()
    origin.torch = Torch()
    solver = origin.ER_SDE_Solver(sde_type="ve", model_prediction_type="x_start")
    levels = sigmas.double()
    told = lambda x, sigma: model(x, sigma.float() * x.new_ones([1]))
    return solver.ve_3_order_taylor(told, x, levels, levels).float()


K_SAMPLERS = {
    "euler": "sample_euler",
    "euler-a": "sample_euler_ancestral",
    "heun": "sample_heun",
    "lms": "sample_lms",
    "dpm++-2m": "sample_dpmpp_2m",
    "dpm2": "sample_dpm_2",
    "dpm2-a": "sample_dpm_2_ancestral",
    "dpm++-2s-a": "sample_dpmpp_2s_ancestral",
    "dpm++-sde": "sample_dpmpp_sde",
    "dpm++-2m-sde": "sample_dpmpp_2m_sde",
    "dpm++-2m-sde-heun": "sample_dpmpp_2m_sde",
    "dpm++-3m-sde": "sample_dpmpp_3m_sde",
    "restart": None,
    "er-sde": None,
}
BROWNIAN = ("dpm++-sde", "dpm++-2m-sde", "dpm++-2m-sde-heun", "dpm++-3m-sde")
NOT_ONE = ("dpm++-2m-sde", "dpm++-2m-sde-heun", "dpm++-3m-sde")  # k-diffusion's fail with one step
CHURNS = ("euler", "heun", "dpm2")
DISCARDS = ("dpm2", "dpm2-a")


def middles(sigmas):
    """The levels between which `sample_dpmpp_sde` asks for noise, each logarithm and power the nearest f32.

    PyTorch's are off by one in the last place for every hundredth level (MKL's here, others elsewhere), which at the sixth decimal
    that torchsde rounds to is another time of the path.
    """
    f32 = lambda value: torch.tensor(value, dtype=torch.float64).float()
    log = [f32(-math.log(sigma)) for sigma in sigmas]
    for a, b in zip(log[:-1], log[1:]):
        start, half, end = (f32(math.exp(-float(t))) for t in (a, a + (b - a) * 0.5, b))
        yield start, half
        yield start, end


def k_run(sampler, schedule, config, steps, options, rounded=False, net=answer, seed=None, shape=SHAPE, double=False):
    """One run of k-diffusion's, of the seed `steps` if none is given; options are named as in the request. `double`: in f64, but for
    levels and noise, by a network that is.
    """
    model, wrapper = wrapped(config, net)
    seed = steps if seed is None else seed
    discards = options.get("discardNextToLastSigma", sampler in DISCARDS)
    sigmas = levels(schedule, steps + discards, wrapper, config, net is not answer and sampler in BROWNIAN)
    if rounded and schedule == "default":
        # PyTorch's square root is MKL's, which is off by one in the last place for 6 of the 1000 levels.
        a = alphas(config).numpy()
        every, times = np.sqrt((np.float32(1) - a) / a), np.linspace(0, 999, steps, dtype=np.float32)[::-1]
        sigmas = K.sampling.append_zero(torch.from_numpy(np.interp(times, np.arange(1000), every).astype(np.float32)))
    if discards and len(sigmas) > 2:
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(shape, generator=generator)
    x = draw() * sigmas[0]
    keywords = {"disable": True}
    if sampler in CHURNS:
        churn = {"sChurn": "s_churn", "sTmin": "s_tmin", "sTmax": "s_tmax", "sNoise": "s_noise"}
        keywords |= {churn[key]: value for key, value in options.items() if key in churn}
    else:
        keywords |= {key: options[name] for key, name in (("eta", "eta"), ("s_noise", "sNoise")) if name in options}
    if sampler == "dpm++-2m-sde-heun":
        keywords["solver_type"] = "heun"
    if sampler in BROWNIAN:
        visited = sigmas[sigmas > 0]
        path = K.sampling.BrownianTreeNoiseSampler(x, visited.min(), visited.max(), seed=[seed])
        nearest = list(middles(visited)) if rounded else []
        keywords["noise_sampler"] = (lambda *_: path(*nearest.pop(0))) if rounded else path
        if double:
            wrapper.double()
            x, sigmas = x.double(), sigmas.double()
            keywords["noise_sampler"] = lambda *times: path(*(time.float() for time in times)).double()
    # Draws that take no share are not drawn, as in ComfyUI: k-diffusion draws for every step of Euler, Heun and DPM2.
    torch_of = K.sampling.torch
    shares = []
    if sampler in CHURNS and options.get("sChurn"):
        low, high = options.get("sTmin", 0.0), options.get("sTmax", math.inf)
        shares = [low <= sigma <= high for sigma in sigmas[:-1]]

    class Torch:
        def __getattr__(self, name):
            return getattr(torch_of, name)

        def randn_like(self, value):
            if sampler in CHURNS and not (shares and shares.pop(0)):
                return torch.zeros_like(value)
            return draw()
    K.sampling.torch = Torch()
    try:
        if sampler == "restart":
            return restart(model, x, sigmas, draw)
        if sampler == "er-sde":
            return er_sde(model, x, sigmas, lambda: draw() * options.get("sNoise", 1.0))
        return getattr(K.sampling, K_SAMPLERS[sampler])(model, x, sigmas, **keywords)
    finally:
        K.sampling.torch = torch_of


D_SAMPLERS = {
    "ddim": (diffusers.DDIMScheduler, {}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "unipc-bh1": (diffusers.UniPCMultistepScheduler, {"solver_type": "bh1"}),
    "plms": (diffusers.PNDMScheduler, {"skip_prk_steps": True}),
    "ddpm": (diffusers.DDPMScheduler, {}),
    "tcd": (diffusers.TCDScheduler, {}),
}


def d_run(sampler, schedule, config, steps, options, net=answer, seed=None, shape=SHAPE):
    """One run of diffusers', of the seed `steps` if none is given."""
    cls, more = D_SAMPLERS[sampler]
    config = {key: value for key, value in config.items() if key != "skip_prk_steps"} | more
    if schedule == "karras":
        config["use_karras_sigmas"] = True
    elif schedule != "default":
        config["timestep_spacing"] = schedule
    scheduler = cls.from_config(config)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(steps if seed is None else seed)
    x = torch.randn(shape, generator=generator) * scheduler.init_noise_sigma
    keywords = {"generator": generator} if sampler in ("ddim", "ddpm", "tcd") else {}
    if "eta" in options:
        keywords["eta"] = options["eta"]
    for t in scheduler.timesteps:
        x = scheduler.step(net(scheduler.scale_model_input(x, t), t.float()), t, x, **keywords).prev_sample
    if sampler == "unipc-bh1":
        # On the way to the clean end the class multiplies an infinite B(h) by no differences at all, which is no number; what is
        # left without them is its clean estimate.
        assert x.isnan().all()
        x = scheduler.model_outputs[-1]
    return x


def cases():
    """(sampler, schedule, configuration, options, counts of steps)"""
    every = range(1, 51)
    few = [1, 2, 3, 7, 20, 36]
    v = {"prediction_type": "v_prediction"}
    leading = {"timestep_spacing": "leading"}
    own = ("dpm2", "dpm2-a", "dpm++-2s-a", "dpm++-sde", "dpm++-2m-sde", "dpm++-2m-sde-heun", "dpm++-3m-sde", "restart", "er-sde")
    for sampler in own:
        for schedule in ("default", "karras", "exponential"):
            yield sampler, schedule, {}, {}, every
        yield sampler, "normal", v, {}, few
        yield sampler, "simple", {}, {"sNoise": 0.9} if sampler not in ("dpm2", "restart") else {}, few
    for schedule in ("default", "karras"):
        yield "dpm++-sde", schedule, {}, {}, every, True
    for sampler in ("euler", "euler-a", "heun", "lms", "dpm++-2m", "dpm++-2m-sde"):
        for schedule in ("normal", "exponential", "polyexponential", "sgm-uniform", "simple", "ddim-uniform", "beta",
                         "align-your-steps"):
            yield sampler, schedule, {}, {}, few
    for sampler in ("euler", "heun", "lms", "dpm++-2m"):
        yield sampler, "karras", leading, {}, every
        yield sampler, "karras", v | leading, {"discardNextToLastSigma": True}, few
    for sampler in CHURNS:
        yield sampler, "normal", {}, {"sChurn": 4.0}, few
        yield sampler, "karras" if sampler == "dpm2" else "exponential", {}, \
            {"sChurn": 40.0, "sTmin": 0.3, "sTmax": 9.0, "sNoise": 1.01}, few
    for sampler in ("euler-a", "dpm2-a", "dpm++-2s-a", "dpm++-sde", "dpm++-2m-sde", "dpm++-2m-sde-heun", "dpm++-3m-sde"):
        for eta in (0.0, 0.6):
            yield sampler, "exponential", {}, {"eta": eta}, few
    for sampler in ("euler", "dpm++-2m-sde", "dpm++-3m-sde"):
        yield sampler, "exponential", {}, {"discardNextToLastSigma": True}, few
    yield "dpm2", "karras", {}, {"discardNextToLastSigma": False}, few
    yield "ddim", "default", {}, {"eta": 1.0}, few
    yield "ddim", "trailing", v, {"eta": 0.4}, few
    for sampler in ("unipc", "unipc-bh1"):
        for schedule in ("default", "karras"):
            yield sampler, schedule, {}, {}, every
        yield sampler, "trailing", v, {}, few
        yield sampler, "default", leading, {}, few
    for sampler in ("plms", "ddpm"):
        yield sampler, "default", {}, {}, every
        yield sampler, "default", v, {}, few
        yield sampler, "trailing" if sampler == "ddpm" else "default", {"set_alpha_to_one": True}, {}, few
    yield "tcd", "default", {}, {}, every
    yield "tcd", "default", v, {}, few
    for eta in (0.0, 0.7, 1.0):
        yield "tcd", "default", {}, {"eta": eta}, few


def case(sampler, schedule, config, options, counts, rounded=False):
    config = STABLE_DIFFUSION | config
    run = k_run if sampler in K_SAMPLERS else d_run
    if rounded:
        run = lambda *which: k_run(*which, rounded=True)
    counts = [steps for steps in counts if steps > 1 or sampler not in NOT_ONE]
    finals = {steps: run(sampler, schedule, config, steps, options).flatten().tolist() for steps in counts}
    return {"sampler": sampler, "schedule": schedule, "config": config, "options": options, "rounded": rounded,
            "finals": finals}


def schedules():
    """The bits of every level, by schedule and count of steps."""
    _, model = wrapped(STABLE_DIFFUSION)
    names = ["karras", "normal", "exponential", "polyexponential", "sgm-uniform", "simple", "ddim-uniform", "beta",
             "align-your-steps"]
    counts = list(range(1, 31)) + [50]
    return {name: {n: levels(name, n, model, STABLE_DIFFUSION)[:-1].tolist() for n in counts} for name in names}


def brownian():
    """Unit noise of Brownian trees between levels, as k-diffusion's noise sampler gives it."""
    out = []
    for seed, shape, low, high in ((0, (4, 8, 8), 0.029167, 14.614647), (2**32 - 1, (4, 5, 7), 0.0312, 4096.0),
                                   (2**40 + 5, (1, 3, 3), 0.1, 2.5)):
        ends = torch.tensor([low, high])
        sampler = K.sampling.BrownianTreeNoiseSampler(torch.zeros(1, *shape), ends[0], ends[1], seed=[seed])
        levels = torch.linspace(math.log(high), math.log(low), 9).exp()
        pairs = list(zip(levels[:-1], levels[1:])) + [(levels[0], levels[4]), (levels[2], levels[7])]
        noises = []
        for a, b in pairs:
            a, b = a.clamp(ends[0], ends[1]), b.clamp(ends[0], ends[1])
            noise = sampler(a, b)[0].contiguous().numpy()
            bits = noise.flatten()[:3].view(np.uint32).tolist()
            noises.append([float(a), float(b), bits, zlib.crc32(noise.tobytes())])
        out.append({"seed": seed, "shape": shape, "ends": ends.tolist(), "noises": noises})
    keys = [(0, ()), (5, ()), (5, (0, 0)), (2**32 - 1, (3, 2)), (2**63 + 7, (2**33 + 1, 34))]
    sequences = [{"entropy": entropy, "key": key,
                  "state": np.random.SeedSequence(entropy, spawn_key=key, pool_size=24).generate_state(4).tolist()}
                 for entropy, key in keys]
    return {"torchsde": torchsde.__version__, "numpy": np.__version__, "seed_sequences": sequences, "brownian": out}


# Model, prompt, negative prompt, steps, guidance, seed, width, height
RUNS = [("sd1", "A  Small\tRED Apple,  on white!", "", (2, 7), 2.5, 5, 40, 32),
        ("sd2", "a 🍎 and a 🦊 next to 日本語 text", "", (7,), 2.0, 2**32 - 1, 32, 32)]


def tiny_models(dtype=torch.float32):
    """Each of RUNS with its configuration, the network's guided answer and the shape of its latents."""
    import make_goldens
    for case in RUNS:
        model, prompt, negative, _, guidance, _, width, height = case
        pipe = make_goldens.load(model)
        config = json.loads((HERE / "models" / model / "scheduler" / "scheduler_config.json").read_text())
        # Keys of other classes, which diffusers' `from_config` would pass on.
        config = {key: value for key, value in config.items() if not key.startswith("_") and value is not None}
        pipe.unet.to(dtype), pipe.text_encoder.to(dtype)
        states = torch.cat([pipe.encode_prompt(text, "cpu", 1, False)[0] for text in (negative, prompt)])

        def net(x, t, pipe=pipe, states=states, guidance=guidance):
            without, with_ = pipe.unet(torch.cat([x, x]), t.flatten()[0], states).sample.chunk(2)
            return without + guidance * (with_ - without)

        scale = make_goldens.SCALE[model]
        yield case, config, net, (1, 4, height // scale, width // scale)


def spread():
    """Of six runs each with other changes of a millionth, the least and the most by which the end moves (RMS over RMS), and how far it is
    from f64's.
    """
    for one, (_, _, exact, _) in zip(tiny_models(), tiny_models(torch.float64)):
        (model, _, _, _, _, seed, _, _), config, net, shape = one
        for sampler, schedule in ((sampler, schedule) for sampler in BROWNIAN for schedule in ("default", "karras", "exponential")):
            run = lambda answers: k_run(sampler, schedule, config, 7, {}, net=answers, seed=seed, shape=shape)
            plain, moved = run(net), []
            far = lambda end: ((end - plain).square().mean() / plain.square().mean()).sqrt().item()
            double = far(k_run(sampler, schedule, config, 7, {}, net=exact, seed=seed, shape=shape, double=True))
            for changes in range(6):
                generator = torch.Generator().manual_seed(changes)
                changed = lambda x, t: net(x, t) * (1 + 1e-6 * torch.randn(shape, generator=generator))
                moved.append(far(run(changed)))
            print(f"{model} {sampler} {schedule}: {min(moved):.1e} to {max(moved):.1e}, f64 {double:.1e}", flush=True)


def whole_runs():
    """Whole runs of the tiny models: cases as in the manifest, and the latents with which they end by their numbers."""
    found, latents = [], {}
    for (model, prompt, negative, counts, guidance, seed, width, height), config, net, shape in tiny_models():
        for sampler in [*K_SAMPLERS, *D_SAMPLERS]:
            run = k_run if sampler in K_SAMPLERS else d_run
            if sampler in ("euler", "euler-a", "heun", "lms", "dpm++-2m", "ddim"):
                schedules = ["exponential"] if sampler in K_SAMPLERS else []
            elif sampler in K_SAMPLERS:
                schedules = ["default", "karras", "exponential"]
            else:
                schedules = ["default", "karras"] if sampler.startswith("unipc") else ["default"]
            for schedule in schedules:
                some = counts if schedule == schedules[0] else (7,)
                for steps in (*some, 20) if (sampler, schedule) == ("restart", "default") else some:
                    latents[str(len(found))] = run(sampler, schedule, config, steps, {}, net=net, seed=seed, shape=shape)
                    found.append({"file": "samplers/runs.safetensors", "case": str(len(found)), "scheduler": {},
                                  "timesteps": [], "model": model, "sampler": sampler, "schedule": schedule, "prompt": prompt,
                                  "negative_prompt": negative, "steps": steps, "guidance": guidance, "seed": seed,
                                  "width": width, "height": height})
    return found, latents


def thresholded():
    """Whole runs with dynamic thresholding: cases and final latents, as in `whole_runs`, each with its share and most."""
    import make_goldens
    model, prompt, negative, _, guidance, seed, width, height = RUNS[0]
    pipe = make_goldens.load(model)
    config = json.loads((HERE / "models" / model / "scheduler" / "scheduler_config.json").read_text())
    config = {key: value for key, value in config.items()
              if not key.startswith("_") and value is not None and key != "skip_prk_steps"}
    states = torch.cat([pipe.encode_prompt(text, "cpu", 1, False)[0] for text in (negative, prompt)])
    scale = make_goldens.SCALE[model]
    # The end of diffusers' DDIM keeps the direction of what was predicted, unless it is told to follow the estimate that is left.
    classes = {"dpm++-2m": (diffusers.DPMSolverMultistepScheduler, {}), "unipc": (diffusers.UniPCMultistepScheduler, {}),
               "ddpm": (diffusers.DDPMScheduler, {}), "ddim": (diffusers.DDIMScheduler, {"use_clipped_model_output": True})}
    found, latents = [], {}
    for sampler, (cls, told) in classes.items():
        for ratio, most in ((0.995, 1.0), (0.9, 4.0), (0.5, 1.5)):
            for guided in (True, False):
                scheduler = cls.from_config(config | {"thresholding": True, "dynamic_thresholding_ratio": ratio,
                                                      "sample_max_value": most})
                scheduler.set_timesteps(7)
                generator = torch.Generator().manual_seed(seed)
                x = torch.randn((1, 4, height // scale, width // scale), generator=generator) * scheduler.init_noise_sigma
                keywords = {"generator": generator} if sampler in ("ddim", "ddpm") else {}
                for t in scheduler.timesteps:
                    without, with_ = pipe.unet(torch.cat([x, x]), t, states).sample.chunk(2)
                    predicted = without + guidance * (with_ - without) if guided else with_
                    x = scheduler.step(predicted, t, x, **keywords, **told).prev_sample
                latents[str(len(found))] = x
                found.append({"file": "samplers/thresholding.safetensors", "case": str(len(found)), "scheduler": {},
                              "timesteps": [], "model": model, "sampler": sampler, "schedule": "default", "prompt": prompt,
                              "negative_prompt": negative, "steps": 7, "guidance": guidance if guided else 1.0, "seed": seed,
                              "width": width, "height": height, "ratio": ratio, "most": most})
    return found, latents


def compact(value):
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, (list, tuple)):
        return [compact(v) for v in value]
    if isinstance(value, dict):
        return {k: v if k == "config" else compact(v) for k, v in value.items()}
    return value


def write(name, value):
    (DATA / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")
    print(DATA / name, (DATA / name).stat().st_size, "bytes")


def main():
    torch.set_num_threads(1)
    from importlib.metadata import version
    versions = {name: version(name) for name in ("k-diffusion", "torchsde", "diffusers", "torch", "scipy")}
    with torch.no_grad():
        if "--spread" in sys.argv:
            return spread()
        (HERE / "samplers").mkdir(exist_ok=True)
        bounded, latents = thresholded()
        save_file({name: value.contiguous() for name, value in latents.items()}, HERE / "samplers/thresholding.safetensors",
                  metadata={"opengen-golden": "1"})
        write("../golden/samplers/thresholding.json", {"versions": versions, "runs": bounded})
        cases_of_models, latents = whole_runs()
        save_file({name: value.contiguous() for name, value in latents.items()}, HERE / "samplers/runs.safetensors",
                  metadata={"opengen-golden": "1"})
        write("../golden/samplers/runs.json", {"versions": versions, "runs": cases_of_models})
        write("brownian.json", brownian())
        write("samplers.json", compact({"versions": versions, "schedules": schedules(),
                                        "cases": [case(*c) for c in cases()]}))


if __name__ == "__main__":
    main()
