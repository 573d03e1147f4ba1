"""A small site whose task page looks as the experiment `button_color_v3` says.

`PORTCULLIS_HTTP=http://127.0.0.1:8080 PORTCULLIS_KEY=secret-... flask --app examples/lab/website run` serves it.
"""

import os
import random

from flask import Flask, request
from markupsafe import escape
from statsig import StatsigEvent, StatsigOptions, StatsigUser, statsig

EXPERIMENT = "button_color_v3"
EVENT = "visited_signup"
# The page as it is for those who are in no group.
DEFAULT_COLOR = "Grey"
DEFAULT_TEXT = "What will you do today?"
COOKIE = "visitor"


def create_app(address=None, key=None, chance=None):
    """The site, with Statsig's SDK asking the server at `address`, for example `http://127.0.0.1:8080`.

    New visitors' ids are drawn from `chance`.
    """
    address, key = address or os.environ["PORTCULLIS_HTTP"], key or os.environ["PORTCULLIS_KEY"]
    # All that differs from a site that asks Statsig itself is the address.
    details = statsig.initialize(key, StatsigOptions(api=f"{address}/v1"))
    if not details.store_populated:
        raise RuntimeError(f"no configuration from {address}: {details.error}")
    app, chance = Flask(__name__), chance or random.SystemRandom()

    @app.get("/")
    def home():
        return page("Tasks", '<p><a href="/tasks">Your tasks</a></p>')

    @app.get("/tasks")
    def tasks():
        visitor = visitor_of_request(chance)
        experiment = statsig.get_experiment(StatsigUser(visitor), EXPERIMENT)
        color = escape(experiment.get("Button Color", DEFAULT_COLOR))
        text = escape(experiment.get("Paragraph Text", DEFAULT_TEXT))
        body = f'<p id="paragraph">{text}</p><a href="/signup"><button style="background:{color}">Sign up</button></a>'
        return remembering(visitor, page("Your tasks", body))

    @app.get("/signup")
    def signup():
        visitor = visitor_of_request(chance)
        statsig.log_event(StatsigEvent(StatsigUser(visitor), EVENT))
        return remembering(visitor, page("Sign up", "<p>Thank you.</p>"))

    return app


def visitor_of_request(chance):
    """Who visits: a new one with `?random=true`, else the one of the cookie, else a new one."""
    known = None if request.args.get("random") == "true" else request.cookies.get(COOKIE)
    return known or f"visitor-{chance.getrandbits(64):016x}"


def remembering(visitor, body):
    """The page for a visitor who is known again next time."""
    return body, {"Set-Cookie": f"{COOKIE}={visitor}; Path=/"}


def page(title, body):
    return f"<!doctype html><title>{title}</title><h1>{title}</h1>{body}"
