"""
What the keys of a trainer's log mean: which is the proxy, which the KL, in which unit.

One `Dialect` for each trainer, found by the keys it logs. Keys, units and estimators were read in
the sources of the versions named. KL is converted to nats per sequence or refused with the reason;
a KL to another policy than the initial one (`ppo_kl`, `approxkl`, `vllm_kl`) is never taken for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overopt.errors import UserError
from overopt.runs.containers import Log
from overopt.runs.record import Estimator, KLSource, RunCurve, Unit


@dataclass(frozen=True)
class KLKey:
    """A key under which a trainer logs its KL to the initial policy.

    `length`: key of the mean response length, by which nats per token become nats per sequence;
    `is_exact`: whether the product of the two is right (sum of KL over sum of tokens in the log),
    or only for tokens of equal KL (a mean over samples of means over tokens).
    """

    key: str
    unit: Unit
    estimator: Estimator
    length: str = ""
    is_exact: bool = True
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """Keys of one trainer.

    `needs`: all of these are in its logs; `any_of`: at least one of these, where not empty;
    `proxy`, `kls`: in order of preference; `not_kl`: keys that look like a KL and are not, with
    what they are; `others`: our name of a series -> its key; `silent_kl`: why a log may have none.
    """

    name: str
    needs: tuple[str, ...]
    proxy: tuple[str, ...]
    kls: tuple[KLKey, ...]
    any_of: tuple[str, ...] = ()
    not_kl: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    rewards: str = ""
    silent_kl: str = ""
    notes: tuple[str, ...] = ()


TEMPERATURE = (
    "PPO of TRL samples at temperature .7 by default, and this KL is that of the tempered "
    "policies; a gold score measured at temperature 1 belongs to another policy"
)
BEFORE_UPDATE = "it is measured on the rollout, before the update of its step"
CLAMPED = "each token's log-ratio is clamped to +-10 nats, which binds in a collapse"
K3 = "k3 has a heavy right tail: above some 10 nats its mean over a batch is too low, mostly"

DIALECTS: tuple[Dialect, ...] = (
    Dialect(
        "TRL online DPO",
        ("objective/kl", "objective/scores"),
        ("objective/scores",),
        (
            KLKey(
                *("objective/kl", "sequence", "k1"),
                doubts=("padding counts in this sum (seen in TRL 1.16), which adds noise to it",),
            ),
        ),
        any_of=("objective/scores_margin", "rewards/margins", "logps/chosen"),
        others=(("entropy", "objective/entropy"), ("eos_share", "val/contain_eos_token")),
    ),
    Dialect(
        "TRL PPO",
        ("objective/kl", "objective/scores"),
        ("objective/scores",),
        (
            KLKey(
                *("objective/kl", "sequence", "k1"),
                doubts=(BEFORE_UPDATE, TEMPERATURE, "with kl_estimator k3 it is k3"),
            ),
        ),
        not_kl=(("policy/approxkl_avg", "the distance of one update, to the policy before it"),),
        others=(("eos_tokens", "val/num_eos_tokens"), ("sequence_entropy", "objective/entropy")),
        notes=("objective/scores has the penalty for missing end tokens in it",),
    ),
    Dialect(
        "TRL RLOO or GRPO",
        ("reward", "completions/mean_length"),
        ("reward",),
        (
            KLKey(
                *("kl", "token", "k1"),
                length="completions/mean_length",
                doubts=("k1 in RLOO, k3 in GRPO (TRL 1.16); only k1 can be below 0",),
            ),
        ),
        others=(
            ("response_length", "completions/mean_length"),
            ("truncated", "completions/clipped_ratio"),
            ("entropy", "entropy"),
            ("reward_sd", "reward_std"),
            ("zero_variance_groups", "frac_reward_zero_std"),
        ),
        rewards="rewards/{}/mean",
        silent_kl="GRPO logs none at its default beta of 0; set beta to 1e-6 to have it logged",
    ),
    Dialect(
        "OpenRLHF",
        ("response_length",),
        ("reward", "rollout/reward_mean"),
        (
            KLKey(
                *("logprobs_diff", "token", "k1"),
                length="response_length",
                is_exact=False,
            ),
            KLKey(
                *("kl", "token", "k1"),
                length="response_length",
                is_exact=False,
                doubts=(CLAMPED, "another kl_estimator than k1 does not show in the log"),
            ),
        ),
        any_of=("ppo_kl", "policy_loss", "actor_loss", "rollout/reward_mean", "logprobs_diff"),
        not_kl=(
            ("ppo_kl", "the distance to the policy that sampled, not to the initial policy"),
            ("vllm_kl", "the distance between sampler and trainer"),
        ),
        others=(
            ("response_length", "response_length"),
            ("truncated", "rollout/truncated_rate"),
            ("reward_sd", "group_reward_std"),
        ),
        silent_kl="without a reference model OpenRLHF logs a kl of 0",
        notes=("rewards are standardized before they are logged with --reward.normalize_enable",),
    ),
    Dialect(
        "verl",
        ("critic/score/mean",),
        ("critic/score/mean",),
        (
            KLKey(
                *("actor/reward_kl_penalty", "token", "k1"),
                length="response_length/mean",
                is_exact=False,
            ),
            KLKey(
                *("actor/kl_loss", "token", "k3"),
                length="response_length/mean",
                doubts=("another loss_agg_mode than token-mean is another unit", CLAMPED, K3),
            ),
        ),
        not_kl=(
            ("actor/ppo_kl", "the distance to the policy that sampled, not to the initial policy"),
        ),
        others=(
            ("response_length", "response_length/mean"),
            ("truncated", "response_length/clip_ratio"),
            ("entropy", "actor/entropy"),
        ),
        silent_kl="verl logs none unless use_kl_in_reward or use_kl_loss is on (both off)",
    ),
)

# Trainers whose logs have no curve of a proxy against KL, and why.
REFUSED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "TRL Nash-MD",
        ("loss/kl", "rewards/chosen"),
        "its loss/kl is a term of the loss to a mixture policy, not the KL to the initial policy",
    ),
    (
        "TRL DPO or KTO",
        ("rewards/chosen", "rewards/rejected"),
        "rewards/* are log-ratios on the data set's responses, not scores of the policy's own: "
        "the log has neither a proxy score nor a KL of samples",
    ),
    (
        "TRL reward model training",
        ("min_reward", "max_reward", "accuracy"),
        "it trains a reward model; there is no policy in this log",
    ),
)


def find_dialect(log: Log) -> tuple[Dialect, dict[str, str]]:
    """Find the trainer that wrote a log; the dialect, and its keys as they stand in the log.

    Raises
    ------
    UserError
        No trainer known here logs these keys, or the log cannot hold a curve.
    """
    keys = _plain(log.keys)
    for dialect in DIALECTS:
        if set(dialect.needs) <= keys.keys() and (
            not dialect.any_of or keys.keys() & set(dialect.any_of)
        ):
            if any(key in keys for key in dialect.proxy):
                return dialect, keys
    for name, needs, why in REFUSED:
        if set(needs) <= keys.keys():
            raise UserError(
                f"{log.name}: a log of {name}: {why}. Sample from checkpoints and score the "
                "responses; `overopt fit` reads scored samples"
            )
    shown = ", ".join(sorted(log.keys)[:12])
    raise UserError(
        f"{log.name}: no trainer known here logs these keys ({shown}). Name yours with --proxy, "
        "--kl and --kl-unit, or see docs/your-runs.md for what is read"
    )


def _plain(keys: set[str]) -> dict[str, str]:
    """Keys without the prefix that Weights & Biases and TensorBoard writers add -> as logged."""
    plain = {key: key for key in keys}
    for key in sorted(keys):
        if key.startswith("train/"):
            plain.setdefault(key.removeprefix("train/"), key)
    return plain


def read_curve(
    log: Log, *, gold: str | None = None, proxy: str | None = None, kl: KLKey | None = None
) -> RunCurve:
    """Turn a log into a curve: proxy, KL in nats per sequence, gold if there is one.

    Parameters
    ----------
    gold, proxy, kl
        Keys of the log, where the user says which; else those of the trainer's dialect.

    Raises
    ------
    UserError
        A key that is named is not in the log, or nobody knows what the keys mean.
    """
    if proxy is not None:
        dialect, keys = Dialect("as named", (), (proxy,), (kl,) if kl else ()), _plain(log.keys)
    else:
        dialect, keys = find_dialect(log)
    for named in (gold, proxy, kl.key if kl else None):
        if named is not None and named not in keys:
            shown = ", ".join(sorted(log.keys)[:20])
            raise UserError(f"{log.name}: no key {named}; the log has {shown}")
    proxy_key = next(key for key in dialect.proxy if key in keys)
    steps = [step for step, row in log.rows.items() if keys[proxy_key] in row]
    curve = RunCurve(
        log.name,
        f"{dialect.name}, {log.container}",
        "step",
        np.array(steps, dtype=np.float64),
        log.series(keys[proxy_key], steps),
        keys={"proxy": keys[proxy_key]},
        notes=[*log.notes, *dialect.notes],
    )
    for name, key in dialect.others:
        if key in keys:
            curve.others[name] = log.series(keys[key], steps)
    _add_kl(curve, log, dialect, keys, [kl] if kl else dialect.kls)
    _add_held_out(curve, log, dialect, keys, gold)
    _drop_unfinished(curve)
    return curve


def _add_kl(
    curve: RunCurve, log: Log, dialect: Dialect, keys: dict[str, str], kls: Sequence[KLKey]
) -> None:
    chosen = next((k for k in kls if k.key in keys and _is_logged(curve, log, keys[k.key])), None)
    for key, what in dialect.not_kl:
        if key in keys:
            curve.notes.append(f"{keys[key]} is not used: it is {what}")
    if chosen is None:
        reason = dialect.silent_kl or "no key of this log is a KL to the initial policy"
        curve.missing.append(
            f"KL: {reason}. `overopt kl POLICY REF --completions FILE` measures it from two "
            "checkpoints and saved completions"
        )
        return
    values = log.series(keys[chosen.key], curve.points)
    if chosen.estimator == "k2":
        curve.missing.append(
            f"KL: {chosen.key} is k2, half the squared log-ratio: 1.5, 17.5 and 60 where the KL is "
            "1, 5 and 10 nats. Log k1 (the mean log-ratio), or use `overopt kl`"
        )
        return
    estimator = chosen.estimator
    if dialect.rewards and estimator == "k1" and np.nanmin(values) >= 0:
        estimator = "unknown"  # RLOO's or GRPO's: a log without one negative value may be either
    conversion = ""
    if chosen.unit == "token":
        if chosen.length not in keys:
            curve.missing.append(
                f"KL: {chosen.key} is per token, and the log has no mean response length "
                f"({chosen.length or 'name it with --length'}) to make nats per sequence of it"
            )
            return
        values = values * log.series(keys[chosen.length], curve.points)
        conversion = f"times {keys[chosen.length]}, tokens a response"
        if not chosen.is_exact:
            conversion += (
                "; a mean over responses of means over tokens: exact only where KL per token does "
                "not depend on length (a fifth to a quarter off either way where it does)"
            )
    curve.kl, curve.keys["kl"] = values, keys[chosen.key]
    curve.kl_source = KLSource(
        *(keys[chosen.key], chosen.unit, estimator, conversion, chosen.doubts),
        is_exact_conversion=chosen.is_exact,
    )


def _is_logged(curve: RunCurve, log: Log, key: str) -> bool:
    """Whether a series has numbers, and not zeros only (trainers log 0 where none is computed)."""
    values = log.series(key, curve.points)
    return bool(np.any(np.isfinite(values) & (values != 0)))


def _add_held_out(
    curve: RunCurve, log: Log, dialect: Dialect, keys: dict[str, str], gold: str | None
) -> None:
    """Find rewards that were logged but not optimized, by their weight in the proxy."""
    if gold is not None:
        curve.gold, curve.keys["gold"] = log.series(keys[gold], curve.points), keys[gold]
    if not dialect.rewards:
        return
    before, after = dialect.rewards.split("{}")
    names = sorted(
        key.removeprefix(before).removesuffix(after)
        for key in keys
        if key.startswith(before) and key.endswith(after) and len(key) > len(before + after)
    )
    series = {name: log.series(keys[f"{before}{name}{after}"], curve.points) for name in names}
    weights = _weights(curve.proxy, list(series.values()))
    if len(names) < 2:
        return
    if weights is None:
        curve.notes.append(
            f"{len(names)} rewards are logged, and too few steps to tell their weights; name the "
            "one that was not optimized with --gold"
        )
        return
    for name, weight in zip(names, weights, strict=True):
        if abs(weight) > 1e-3:
            continue
        curve.others[f"heldout:{name}"] = series[name]
        if curve.gold is None:
            curve.gold = series[name]
            curve.keys["gold"] = keys[f"{before}{name}{after}"]
            curve.notes.append(
                f"{name} has weight 0 in the reward, so it is taken for gold; what is said of gold "
                "is as good as that score is"
            )


def _weights(proxy: np.ndarray, rewards: list[np.ndarray]) -> np.ndarray | None:
    """Weights of the reward functions in the total, by least squares; None if not determined."""
    if not rewards:
        return None
    design = np.column_stack(rewards)
    known = np.isfinite(design).all(axis=1) & np.isfinite(proxy)
    if known.sum() < design.shape[1] + 1:
        return None
    solution, _, rank, _ = np.linalg.lstsq(design[known], proxy[known], rcond=None)
    residual = proxy[known] - design[known] @ solution
    if rank < design.shape[1] or np.abs(residual).max() > 1e-3 * (1 + np.abs(proxy[known]).max()):
        return None
    return solution


def _drop_unfinished(curve: RunCurve) -> None:
    """Leave out steps without a finite proxy or KL; say how many."""
    known = np.isfinite(curve.proxy)
    if curve.kl is not None:
        known &= np.isfinite(curve.kl)
    dropped = int((~known).sum())
    if dropped:
        curve.notes.append(f"{dropped} of {len(known)} steps have no finite proxy and KL: left out")
    if not known.any():
        raise UserError(f"{curve.name}: no step has a finite proxy score (and KL)")
    curve.points, curve.proxy = curve.points[known], curve.proxy[known]
    curve.kl = None if curve.kl is None else curve.kl[known]
    curve.gold = None if curve.gold is None else curve.gold[known]
    curve.others = {name: values[known] for name, values in curve.others.items()}
