"""Runs the lab against a running server: sets the experiment up, sends visitors through the site, tells the outcome.

`python examples/lab/run.py --grpc 127.0.0.1:50051 --http http://127.0.0.1:8080`
"""

import argparse
import collections
import random
import re
import time

from statsig import StatsigUser, statsig

import website
from server import Server

METRIC = {
    "key": website.EVENT,
    "description": "Share of visitors who come to the sign-up page.",
    "kind": "METRIC_KIND_CONVERSION",
    "event": website.EVENT,
    # The guard watches it, and stops a group in which fewer sign up.
    "tags": ["guardrail"],
}
# Each group's colour and text; the first is what the others are compared with.
GROUPS = {
    "Blue": "Write down what you want to get done today.",
    "Red": "Your tasks are waiting for you.",
    "Green": "Small steps count: begin with one task.",
    "Orange": "Plan your day in a minute.",
}
EXPERIMENT = {
    "key": website.EXPERIMENT,
    "hypothesis": "A green button brings more visitors to the sign-up page.",
    "groups": [
        {"name": color, "weight": 25, "parameters": {"Button Color": color, "Paragraph Text": text}}
        for color, text in GROUPS.items()
    ],
    "primary_metrics": [website.EVENT],
}
KEY = {"kind": "SDK_KEY_KIND_SERVER", "environment": "production", "description": "The lab, for one run."}
# How many of a colour's visitors go on to the sign-up page, as the lab has it.
SIGNUP_SHARE = {"Blue": 0.20, "Red": 0.20, "Green": 0.30, "Orange": 0.20}
# How long the server may take to have counted all, in seconds.
PATIENCE_S = 60
# Visitors who come while it is waited for: numbers are complete only up to the latest events.
LATECOMERS = 5


def main():
    arguments = parse_arguments()
    server = Server(arguments.grpc, principal="lab")
    set_up(server)
    made = server.call("KeyService", "CreateSdkKey", {"key": KEY})
    try:
        chance = random.Random(arguments.seed)
        site = website.create_app(arguments.http, made["secret"], chance)
        wait_for_the_experiment()
        seen = collections.Counter(visit(site, chance) for _ in range(arguments.visitors))
        launch = wait_until_counted(server, site, chance, arguments.visitors)
        statsig.shutdown()
    finally:
        server.call("KeyService", "RevokeSdkKey", {"id": made["key"]["id"]})
    print_split(seen)
    print_diagnostics(launch)
    print_results(launch)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grpc", default="127.0.0.1:50051", help="the server's gRPC address")
    parser.add_argument("--http", default="http://127.0.0.1:8080", help="the server's HTTP address")
    parser.add_argument("--visitors", type=int, default=2000, help="how many come to the task page")
    parser.add_argument("--seed", type=int, default=1, help="who the visitors are and what they do")
    return parser.parse_args()


def set_up(server):
    """Makes the metric and the experiment and starts it; what is there already goes on."""
    server.create("Metric", METRIC)
    server.create("Experiment", EXPERIMENT)
    there = server.call("AdminService", "GetExperimentDocument", {"key": website.EXPERIMENT})["experiment"]
    if there["status"] == "EXPERIMENT_STATUS_DRAFT":
        server.call("AdminService", "StartExperiment", {"key": there["key"], "revision": there["revision"]})


def wait_for_the_experiment():
    """The SDK asks for changes from time to time; visitors come once it has the experiment."""
    begun, nobody = time.monotonic(), StatsigUser("nobody")
    while not statsig.get_experiment_with_exposure_logging_disabled(nobody, website.EXPERIMENT).get_value():
        if time.monotonic() - begun > PATIENCE_S:
            raise TimeoutError("the site does not get the experiment")
        time.sleep(0.2)


def visit(site, chance):
    """One visitor looks at the tasks and perhaps goes on to the sign-up page. Gives the colour that was seen."""
    browser = site.test_client()
    color = color_on(browser.get("/tasks?random=true"))
    if chance.random() < SIGNUP_SHARE.get(color, 0):
        browser.get("/signup")
    return color


def color_on(response):
    return re.search(r"background:(\w+)", response.get_data(as_text=True)).group(1)


def wait_until_counted(server, site, chance, visitors):
    """What the guard says once it has counted the visitors."""
    target = {"kind": "TARGET_KIND_EXPERIMENT", "key": website.EXPERIMENT}
    begun = time.monotonic()
    while True:
        for _ in range(LATECOMERS):
            visit(site, chance)
        statsig.flush()
        launch = server.call("GuardService", "CheckLaunch", {"target": target})
        if sum(units for units, _ in counts(launch).values()) >= visitors:
            return launch
        if time.monotonic() - begun > PATIENCE_S:
            raise TimeoutError(f"{visitors} visitors are not counted: {counts(launch)}")
        time.sleep(1)


def counts(launch):
    """Visitors and sign-ups of each group, as the server counted them."""
    found = {}
    for verdict in launch["verdicts"]:
        if verdict["metric"] != website.EVENT:
            continue
        control = launch["launch"]["arms"][0]["name"]
        for arm, side in ((control, "control"), (verdict["arm"], "treatment")):
            moments = [epoch[side] for epoch in verdict["epochs"] if side in epoch]
            found[arm] = (sum(int(m["n"]) for m in moments), sum(int(m["nonzero"]) for m in moments))
    return found


def print_split(seen):
    total = sum(seen.values())
    print(f"\nWhat {total:,} visitors were shown")
    for color, count in sorted(seen.items()):
        print(f"  {color:<8}{count:>7,}{count / total:>8.1%}")


def print_diagnostics(launch):
    print(f"\nThe guard says {launch['decision'].removeprefix('DECISION_KIND_').lower()}")
    for reason in launch["reasons"]:
        print(f"  {reason['message']}")


def print_results(launch):
    print("\nWho came to the sign-up page, as the server counted it")
    control = launch["launch"]["arms"][0]["name"]
    evidence = {verdict["arm"]: verdict for verdict in launch["verdicts"] if verdict["metric"] == website.EVENT}
    found = counts(launch)
    for arm, (units, signups) in found.items():
        rate = f"{signups / units:.1%}" if units else "no visitors"
        line = f"  {arm:<8}{units:>7,} visitors{signups:>6,} sign-ups{rate:>8}"
        if arm == control:
            print(f"{line}  (the others are compared with it)")
        else:
            verdict = evidence[arm]["verdict"].removeprefix("VERDICT_").lower()
            print(f"{line}  {verdict}, e-value of harm {evidence[arm]['e_value']:.3g}")


if __name__ == "__main__":
    main()
