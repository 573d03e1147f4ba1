"""Requests and answers of a driver: one JSON object a line, on standard input and output.

Each request names in `do` what the SDK is to do; README.md lists them. An answer that could not be given is
`{"error": "..."}`.
"""

import json
import sys
import time

# How long to wait between two looks at a gate, in seconds.
PAUSE_S = 0.05

# The names of a user's fields, in Statsig's JSON and in its Python packages.
FIELDS = {
    "userID": "user_id",
    "email": "email",
    "ip": "ip",
    "userAgent": "user_agent",
    "country": "country",
    "locale": "locale",
    "appVersion": "app_version",
    "custom": "custom",
    "privateAttributes": "private_attributes",
    "customIDs": "custom_ids",
}


def serve(sdk):
    """Answers requests with the SDK until `shutdown` or the end of input."""
    # What the SDK prints is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(sdk, request)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is told to the test
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
        if request["do"] == "shutdown":
            return


def _answer(sdk, request):
    do = request["do"]
    if do == "initialize":
        return sdk.initialize()
    if do == "evaluate":
        return {"answers": [_evaluate(sdk, index, user, request) for index, user in enumerate(request["users"])]}
    if do == "log":
        for event in request["events"]:
            sdk.log(sdk.user(event["user"]), event["name"], event.get("value"), event.get("metadata"))
        return {}
    if do == "wait_for":
        return _wait_for(sdk, request)
    if do == "flush":
        sdk.flush()
        return {}
    if do == "shutdown":
        sdk.shutdown()
        return {}
    raise ValueError(f"a driver can not {do}")


def _evaluate(sdk, index, user, request):
    user, exposures = sdk.user(user), request.get("exposures", False)
    return {
        "user": index,
        "gates": {name: sdk.gate(user, name, exposures) for name in request.get("gates", [])},
        "configs": {name: sdk.config(user, name, exposures) for name in request.get("configs", [])},
        "experiments": {name: sdk.experiment(user, name, exposures) for name in request.get("experiments", [])},
        "layers": {
            wanted["layer"]: sdk.layer(user, wanted["layer"], wanted["parameters"], exposures)
            for wanted in request.get("layers", [])
        },
    }


def _wait_for(sdk, request):
    begun, user = time.monotonic(), sdk.user(request["user"])
    while True:
        reached = sdk.gate(user, request["gate"], False)["value"] == request["value"]
        waited = time.monotonic() - begun
        if reached or waited >= request["timeout_s"]:
            return {"reached": reached, "waited_s": waited}
        time.sleep(PAUSE_S)
