// Requests and answers of a driver: one JSON object a line, on standard input and output; README.md lists them.
"use strict";

const readline = require("node:readline");
const { setTimeout: sleep } = require("node:timers/promises");

// How long to wait between two looks at a gate, in milliseconds.
const PAUSE_MS = 50;

/** Answers requests with the SDK until `shutdown` or the end of input. */
async function serve(sdk) {
  // What the SDK prints is no answer.
  for (const level of ["log", "info", "debug"]) {
    console[level] = console.error;
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let answer;
    try {
      answer = await answerTo(sdk, request);
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
    if (request.do === "shutdown") {
      break;
    }
  }
  // Timers of the SDK would keep the process.
  process.exit(0);
}

async function answerTo(sdk, request) {
  switch (request.do) {
    case "initialize":
      return sdk.initialize();
    case "evaluate": {
      const answers = [];
      for (const [index, user] of request.users.entries()) {
        answers.push(await evaluate(sdk, index, user, request));
      }
      return { answers };
    }
    case "log":
      for (const { user, name, value, metadata } of request.events) {
        sdk.log(await sdk.user(user), name, value, metadata);
      }
      return {};
    case "wait_for":
      return waitFor(sdk, request);
    case "flush":
      await sdk.flush();
      return {};
    case "shutdown":
      await sdk.shutdown();
      return {};
    default:
      throw new Error(`a driver can not ${request.do}`);
  }
}

async function evaluate(sdk, index, asked, request) {
  const user = await sdk.user(asked);
  const exposures = request.exposures ?? false;
  const each = (names, ask) => Object.fromEntries((names ?? []).map((name) => [name, ask(name)]));
  const layers = new Map((request.layers ?? []).map((wanted) => [wanted.layer, wanted.parameters]));
  return {
    user: index,
    gates: each(request.gates, (name) => sdk.gate(user, name, exposures)),
    configs: each(request.configs, (name) => sdk.config(user, name, exposures)),
    experiments: each(request.experiments, (name) => sdk.experiment(user, name, exposures)),
    layers: each([...layers.keys()], (name) => sdk.layer(user, name, layers.get(name), exposures)),
  };
}

async function waitFor(sdk, request) {
  const begun = performance.now();
  for (;;) {
    const user = await sdk.user(request.user);
    const reached = sdk.gate(user, request.gate, false).value === request.value;
    const waited = (performance.now() - begun) / 1000;
    if (reached || waited >= request.timeout_s) {
      return { reached, waited_s: waited };
    }
    await sleep(PAUSE_MS);
  }
}

module.exports = { serve };
