"""Decide the next steps from what is there; the events that wake the function decide nothing.

The rule: the endpoint serves the newest approved version. A version first answers its smoke test on
a trial endpoint; then SageMaker moves the traffic and rolls back if an alarm goes off. The rules
below are tried in order, and the first that applies decides. All of this is pure, so that repeated,
lost and reordered events do no harm.

Sources: SageMaker developer guide, "Deployment guardrails"; "API_DescribeEndpoint".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from functions.deploy_model.state import (
    NO_ENDPOINT,
    REFUSED,
    AskTrial,
    Complain,
    Config,
    DeleteConfig,
    DeleteModel,
    DeleteTrial,
    Deploy,
    Endpoint,
    MarkFailed,
    MarkServed,
    Reject,
    Scale,
    SendSamples,
    Snapshot,
    StartTrial,
    Steps,
    StopScaling,
    Version,
    Wait,
)

_UNTRIED: Final = frozenset({"", NO_ENDPOINT, REFUSED})
_RUN_AGAIN: Final = "run the pipeline again, then approve the version that it registers"


def decide(snapshot: Snapshot, deadline: timedelta) -> Steps:
    """Return the next steps; ``deadline`` is how long a version may take to serve."""
    return _with_scaling(snapshot, _decide(snapshot, deadline))


def _decide(snapshot: Snapshot, deadline: timedelta) -> Steps:
    marks = _marks(snapshot)
    if snapshot.desired is None:
        return (*marks, *_idle(snapshot))
    for rule in _RULES:
        steps = rule(snapshot, snapshot.desired, deadline)
        if steps is not None:
            return (*marks, *steps)
    return marks


def _marks(snapshot: Snapshot) -> Steps:
    """Record what serves, whether it is still desired or not."""
    serving = snapshot.serving
    if serving is None or not _serves_ours(snapshot):
        return ()
    if serving.served and not _served_otherwise(snapshot, serving):
        return ()
    return (MarkServed(serving),)


# Rules: each returns the steps, or None if it does not apply


def _if_taken(snapshot: Snapshot, _desired: Version, _deadline: timedelta) -> Steps | None:
    """Leave what somebody else owns."""
    if not snapshot.taken:
        return None
    names = ", ".join(snapshot.taken)
    problem = f"{names}: not created by this pipeline, not touched. Delete it to have approved "
    return (Complain(f"{problem}versions deployed."), *_idle(snapshot))


def _if_changing(snapshot: Snapshot, desired: Version, _deadline: timedelta) -> Steps | None:
    endpoint = snapshot.endpoint
    if endpoint is None or not endpoint.is_changing:
        return None
    if endpoint.pending == snapshot.config_name != endpoint.config and not endpoint.is_going:
        trial: Steps = (DeleteTrial(),) if _is_deletable(snapshot.trial) else ()
        return (*trial, SendSamples(desired))
    return (Wait(f"the endpoint {endpoint.name} is {endpoint.status}"),)


def _if_serving(snapshot: Snapshot, _desired: Version, _deadline: timedelta) -> Steps | None:
    endpoint = snapshot.endpoint
    if endpoint is None or not endpoint.is_in_service or endpoint.config != snapshot.config_name:
        return None
    return _idle(snapshot)


def _if_of_other_kind(snapshot: Snapshot, _desired: Version, _deadline: timedelta) -> Steps | None:
    """Keep an endpoint that clients call in the other way, until somebody deletes it."""
    endpoint = snapshot.endpoint
    if endpoint is None or not snapshot.of_other_kind:
        return None
    kinds = ("serving.asynchronous = true", "serving.asynchronous = false")
    wanted, found = kinds if snapshot.asynchronous else reversed(kinds)
    problem = f"the endpoint {endpoint.name} was created with {found}, and its clients would get "
    command = f"`aws sagemaker delete-endpoint --endpoint-name {endpoint.name}`"
    advice = f"no answers with {wanted}. After {command}, it is created with that."
    return (Complain(f"{problem}{advice}"), *_idle(snapshot))


def _if_served_before(snapshot: Snapshot, desired: Version, _deadline: timedelta) -> Steps | None:
    """Go back if what serves was rejected; otherwise somebody decided what serves, or pauses.

    The same version with other settings is no decision: they were changed, and changed back.
    """
    config, endpoint = snapshot.config, snapshot.endpoint
    if config is None or not config.served:
        return None
    if endpoint is None and _served_otherwise(snapshot, config):
        return None
    if endpoint is None or not endpoint.number:
        return _idle(snapshot)
    if endpoint.number in snapshot.approved - {desired.number}:
        return _idle(snapshot)
    if not endpoint.is_in_service or _tried_since(config, snapshot.serving):
        problem = f"the endpoint {endpoint.name} ({endpoint.status}) did not go back to version "
        advice = f"{desired.number}. See its events, then approve a version again."
        return (Complain(f"{problem}{advice}"), *_idle(snapshot))
    retain = _retains(snapshot, desired)
    return (Deploy(desired, config, endpoint.modified, endpoint.config, back=True, retain=retain),)


def _served_otherwise(snapshot: Snapshot, config: Config) -> bool:
    """Tell whether the version served with other settings since: it was not this that was deleted.

    An endpoint is deleted by hand to change its kind.
    """
    others = (one for one in snapshot.configs if one.number == config.number)
    return any(one.served > config.served for one in others)


def _if_settings_failed(
    snapshot: Snapshot, _desired: Version, _deadline: timedelta
) -> Steps | None:
    config = snapshot.config
    if config is None or not config.failed:
        return None
    return (Complain(f"{config.name}: {config.failed}. Change the settings."), *_idle(snapshot))


def _if_a_persons(snapshot: Snapshot, desired: Version, _deadline: timedelta) -> Steps | None:
    """Leave an endpoint that a person or a run has given something newer to serve."""
    endpoint, serving = snapshot.endpoint, snapshot.serving
    if endpoint is None or endpoint.number or serving is None:
        return None
    return _idle(snapshot) if serving.created > desired.created else None


def _if_broken(snapshot: Snapshot, desired: Version, _deadline: timedelta) -> Steps | None:
    """Reject the version that broke the endpoint; another one is not to blame, and waits."""
    endpoint, config = snapshot.endpoint, snapshot.config
    if endpoint is None or endpoint.is_in_service:
        return None
    repair = f"the endpoint {endpoint.name} has failed: `python build.py endpoint repair`"
    if config and (endpoint.config == config.name or _is_rolled_back(config, endpoint)):
        return _give_up(snapshot, desired, f"{repair}, then approve version {desired.number} again")
    return (Complain(f"{repair}; version {desired.number} waits"), *_idle(snapshot))


def _if_paused(snapshot: Snapshot, _desired: Version, _deadline: timedelta) -> Steps | None:
    return _idle(snapshot) if snapshot.endpoint is None and snapshot.paused else None


def _if_rolled_back(snapshot: Snapshot, desired: Version, _deadline: timedelta) -> Steps | None:
    endpoint, config = snapshot.endpoint, snapshot.config
    if endpoint is None or config is None or not _is_rolled_back(config, endpoint):
        return None
    why = endpoint.failure or "an alarm went off, or the new instances did not start"
    return _give_up(snapshot, desired, f"SageMaker rolled the endpoint {endpoint.name} back: {why}")


def _if_late(snapshot: Snapshot, desired: Version, deadline: timedelta) -> Steps | None:
    """Reject a version that does not serve in time; of settings that served, the trial's time."""
    config, trial = snapshot.config, snapshot.trial
    if config is None:
        return None
    begun = (trial.created if trial else None) if config.served else config.created
    if begun is None or snapshot.now - begun <= deadline:
        return None
    hours = round(deadline.total_seconds() / 3600)
    why = f"the last error was at {config.error}" if config.error else "see the function's log"
    return _give_up(snapshot, desired, f"not in service after {hours} hours; {why}")


def _otherwise_try(snapshot: Snapshot, desired: Version, _deadline: timedelta) -> Steps | None:
    lacks = [not desired.instance_type and "instance type", not desired.smoke_test and "smoke test"]
    for what in filter(None, lacks):  # of a run before on-approval, which approved it by itself
        problem = f"version {desired.number} has no {what} and is not deployed: {_RUN_AGAIN}"
        return (Complain(problem), *_idle(snapshot))
    if desired.foreign:
        return _give_up(snapshot, desired, f"{desired.foreign}: {_RUN_AGAIN}")
    return (
        *_changed_by_others(snapshot, desired),
        *_discard(snapshot, keep=snapshot.config_name),
        *_try(snapshot, desired),
    )


_RULES: Final[tuple[Callable[[Snapshot, Version, timedelta], Steps | None], ...]] = (
    _if_taken,
    _if_changing,
    _if_serving,
    _if_of_other_kind,
    _if_served_before,
    _if_settings_failed,
    _if_a_persons,
    _if_broken,
    _if_paused,
    _if_rolled_back,
    _if_late,
    _otherwise_try,
)


# The trial


def _try(snapshot: Snapshot, desired: Version) -> Steps:
    trial, config = snapshot.trial, snapshot.config
    if trial is None:
        return (StartTrial(desired, snapshot.config_name),)
    if trial.is_changing:
        return (Wait(f"the trial endpoint {trial.name} is {trial.status}"),)
    if config is None or trial.config != config.name:
        return (DeleteTrial(),)
    return _judge(snapshot, desired, trial, config)


def _judge(snapshot: Snapshot, desired: Version, trial: Endpoint, config: Config) -> Steps:
    """Deploy the version if its trial endpoint answered as it should."""
    if not trial.is_in_service:
        why = trial.failure or "no reason given"
        return _give_up(snapshot, desired, f"the trial endpoint {trial.name} failed: {why}")
    if snapshot.verdict is None:
        return (AskTrial(desired),)
    if snapshot.verdict:
        return _give_up(snapshot, desired, snapshot.verdict)
    endpoint = snapshot.endpoint
    started, replaced = (endpoint.modified, endpoint.config) if endpoint else (NO_ENDPOINT, "")
    # The alarm that a rejected version set off may still be on, and would stop what replaces it.
    away = bool(endpoint and endpoint.number and endpoint.number not in snapshot.approved)
    retain = _retains(snapshot, desired)
    return (Deploy(desired, config, started, replaced, back=away, retain=retain),)


def _give_up(snapshot: Snapshot, desired: Version, reason: str) -> Steps:
    """Reject the version and remove what it has, so that a new approval starts afresh.

    If the version serves with other settings, it is they that failed: rejecting the version would
    take the endpoint back to an older one, which could fail for the same reason.
    """
    endpoint, config = snapshot.endpoint, snapshot.config
    trial: Steps = (DeleteTrial(),) if _is_deletable(snapshot.trial) else ()
    if endpoint and config and endpoint.number == desired.number and endpoint.config != config.name:
        return (MarkFailed(config, reason), *trial)
    steps: Steps = (Reject(desired, reason), *trial)
    if config and config.ours and config.name not in _in_use(endpoint):
        steps = (*steps, *_deletions(snapshot, (config,)))
    return steps


# Scaling


def _with_scaling(snapshot: Snapshot, steps: Steps) -> Steps:
    """Add what the fleet's scaling needs: it is ended for a change of the instance type only.

    SageMaker refuses that change otherwise, and no other ("Update endpoints that use auto scaling",
    SageMaker developer guide). It is put back when the endpoint serves one of our configurations.
    """
    wanted, target = snapshot.wanted, snapshot.target
    if wanted is None:
        return steps
    deploys = next((step for step in steps if isinstance(step, Deploy)), None)
    if deploys:
        ends = target and target.ours and snapshot.serving_type != deploys.version.instance_type
        return (StopScaling(), *steps) if ends else steps
    ready = _serves_ours(snapshot) and not snapshot.of_other_kind
    if snapshot.blind or not ready or target == wanted:
        return steps
    if target and not target.ours:
        whose = "this pipeline did not register its scalable target, and does not change it"
        return (*steps, Wait(f"the endpoint scales as somebody else decided: {whose}"))
    return (*steps, Scale(wanted, new=target is None))


def _serves_ours(snapshot: Snapshot) -> bool:
    endpoint, serving = snapshot.endpoint, snapshot.serving
    if endpoint is None or serving is None or not (endpoint.ours and endpoint.is_in_service):
        return False
    return bool(serving.number and serving.ours)


def _retains(snapshot: Snapshot, desired: Version) -> bool:
    """Tell whether a deployment keeps the size of a fleet that scaled out.

    One that is smaller than a new one would have too few instances for the steps of a shift.
    """
    endpoint = snapshot.endpoint
    if endpoint is None or not snapshot.wanted:
        return False
    same_type = snapshot.serving_type == desired.instance_type
    return same_type and endpoint.instances > snapshot.instances


# Cleaning up


def _idle(snapshot: Snapshot) -> Steps:
    """Remove the trial endpoint and what no version needs any more."""
    trial: Steps = (DeleteTrial(),) if _is_deletable(snapshot.trial) else ()
    return (*trial, *_discard(snapshot))


def _discard(snapshot: Snapshot, keep: str = "") -> Steps:
    """Remove our configurations of versions that are not approved, and those that never served."""
    used = _in_use(snapshot.endpoint, snapshot.trial)
    if snapshot.endpoint and snapshot.endpoint.is_changing:
        return ()
    unneeded = tuple(
        config
        for config in snapshot.configs
        if config.ours
        and not config.paused
        and config.name not in (used | {keep})
        and not _is_needed(config, snapshot)
    )
    return _deletions(snapshot, unneeded)


def _is_needed(config: Config, snapshot: Snapshot) -> bool:
    if config.number not in snapshot.approved:
        return False
    return bool(config.served or (config.failed and config.name == snapshot.config_name))


def _deletions(snapshot: Snapshot, unneeded: tuple[Config, ...]) -> Steps:
    """Delete configurations, and each model that no other configuration uses."""
    endpoint = snapshot.endpoint
    used = {config.number for config in snapshot.configs if config not in unneeded}
    used |= {endpoint.number} if endpoint else set()
    models = sorted({config.number for config in unneeded} - used)
    return (*map(DeleteConfig, unneeded), *map(DeleteModel, models))


def _in_use(*endpoints: Endpoint | None) -> set[str]:
    alive = [one for one in endpoints if one and not one.is_going]
    return {name for one in alive for name in (one.config, one.pending) if name}


def _is_deletable(trial: Endpoint | None) -> bool:
    return trial is not None and trial.ours and not trial.is_changing


# What tags tell


def _is_rolled_back(config: Config, endpoint: Endpoint) -> bool:
    """Tell whether the endpoint changed since it was told to serve this, and does not serve it.

    SageMaker goes back to what the endpoint served; anything else is somebody's decision.
    """
    if config.started in _UNTRIED or endpoint.config == config.name:
        return False
    return config.started != endpoint.modified and endpoint.config == _before(config, endpoint)


def _changed_by_others(snapshot: Snapshot, desired: Version) -> Steps:
    """Say why a version is tried that the endpoint was told to serve before."""
    config, endpoint = snapshot.config, snapshot.endpoint
    if config is None or endpoint is None or config.started in _UNTRIED:
        return ()
    if endpoint.config == _before(config, endpoint):
        return ()
    who = f"somebody else gave the endpoint {endpoint.name} the configuration {endpoint.config}"
    return (Wait(f"{who}, which is no rollback of version {desired.number}: it is tried again"),)


def _before(config: Config, endpoint: Endpoint) -> str:
    """Return what the endpoint served when it was told to serve a configuration.

    Earlier versions of this function did not record it.
    """
    return config.replaced or endpoint.config


def _tried_since(config: Config, serving: Config | None) -> bool:
    """Tell whether the endpoint was told to go back since it got what it serves now."""
    if config.started in _UNTRIED:
        return False
    return serving is None or datetime.fromisoformat(config.started) >= serving.created
