"""The codes of compiling: what is wrong with the expressions, guards, formulas and machines of a spec."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

EXPRESSIONS: dict[str, Explanation] = {
    "expression-syntax": Explanation(
        "The text is not an expression: Python's expression grammar, restricted to numbers, names, "
        "arithmetic, comparisons, and/or/not, subscripts and the named functions.",
        "reward: 2 * (reward + 1\n",
        "reward: 2 * (reward + 1)\n",
    ),
    "expression-too-large": Explanation(
        "The expression is longer or deeper than it may be, or the names in it write out to more than it "
        "may hold: a signal stands for its whole expression wherever it is read.",
        "signals:\n  s0: reward\n"
        + "".join(f"  s{i}: s{i - 1} + s{i - 1}\n" for i in range(1, 13))
        + "reward: s12\n",
        "Let several terms add up, or reduce a vector: sum, mean, norm.",
    ),
    "expected-truth-value": Explanation(
        "`and`, `or`, `not`, `where` and propositions need a truth value, and a computed number stands "
        "there. Only a field that is read as it is counts as true when it is not 0.",
        "reward: 1 if reward + 1 else 0\n",
        "reward: 1 if reward + 1 > 0 else 0\n",
    ),
    "unknown-name": Explanation(
        "A name is neither declared before this point nor a part of the transition. Signals and "
        "propositions may read those above them only.",
        "signals: {speed: 'abs(obs[1])'}\nreward: -sped\n",
        "signals: {speed: 'abs(obs[1])'}\nreward: -speed\n",
    ),
    "unknown-function": Explanation(
        "Expressions may call a fixed list of functions. Anything else belongs into a labelling function in"
        " Python.",
        "reward: -asb(action)\n",
        "reward: -abs(action)\n",
    ),
    "wrong-arguments": Explanation(
        "A function is called with too few, too many or the wrong sort of arguments.",
        "reward: clip(reward, 1)\n",
        "reward: clip(reward, -1, 1)\n",
    ),
    "window-too-long": Explanation(
        "The intervals of an `stl` formula are so long that a step would carry more than 256 numbers from step to"
        " step: one for each step of each window, and for each step that one part waits for another.",
        "reward:\n  stl: G[0, 300](obs[0] > 0)\n",
        "reward:\n  stl: G[0, 30](obs[0] > 0)\n",
    ),
    "no-such-key": Explanation(
        "A part is read that does not exist: a key of something that has none, or one that the "
        "environment's spaces lack.",
        "reward: reward.score\n",
        "reward: info.score\n",
    ),
    "field-not-allowed": Explanation(
        "This part of the transition may not be read here. A potential reads `obs` alone: it is the value "
        "of a state, so that the shaping leaves the optimal policies alone.",
        "discount: 0.99\nreward:\n  potential: reward\n",
        "discount: 0.99\nreward:\n  potential: -abs(obs[0])\n",
    ),
    "circular": Explanation(
        "A value depends on itself within one step. No text of the language can say so; a kind that is "
        "being developed can, when an end reads what is paid at the end, or a machine a proposition that "
        "reads the machine.",
        ">>> scope.end(ir.Ended('last'))",
        "Let one of them read the value from before the step.",
    ),
    "missing-discount": Explanation(
        "Potentials, `progress` and discounted differences need the agent's discount, and the spec does not"
        " say it.",
        "reward:\n  potential: -abs(obs[0])\n",
        "discount: 0.99\nreward:\n  potential: -abs(obs[0])\n",
    ),
}

FORMULAS: dict[str, Explanation] = {
    "formula-syntax": Explanation(
        "The text is not a guard (a boolean formula over propositions) or not a temporal formula.",
        "propositions: [coffee, office]\nreward:\n  ltl: F(coffee & X F office\n",
        "propositions: [coffee, office]\nreward:\n  ltl: F(coffee & X F office)\n",
    ),
    "formula-too-long": Explanation(
        "The text of a guard or formula has more than 10,000 characters, or nests more than 200 operators.",
        "propositions: [a]\nreward:\n  ltl: " + "X " * 201 + "a\n",
        "propositions: [a]\nreward:\n  ltl: X[201] a\n",
    ),
    "formula-too-large": Explanation(
        "The automaton of the formula outgrows the limit. Some formulas have automata that are exponential "
        "in their length; the message names the part that grows.",
        "propositions: [a, b]\nreward:\n  ltl: F(a & X[20] b)\n",
        "Split the formula into several terms, shorten its bounds, or write the machine that you mean as a "
        "`reward_machine`, with a counter where it counts.",
    ),
    "guard-too-large": Explanation(
        "The guard becomes more than 4096 edges when it is written as cases of its propositions (a parity "
        "of thirty propositions has half a billion).",
        "propositions: ["
        + ", ".join(f"p{i}" for i in range(16))
        + "]\nreward:\n  reward_machine:\n    start: a\n    edges:\n      - {from: a, to: b, when: "
        + " xor ".join(f"p{i}" for i in range(16))
        + "}\n",
        "Declare a proposition for the part, and use its name in the guard.",
    ),
    "too-many-propositions": Explanation(
        "One machine, or one factor of a formula, reads more than 62 propositions.",
        "propositions: ["
        + ", ".join(f"p{i}" for i in range(63))
        + "]\nreward:\n  ltl: F("
        + " & ".join(f"p{i}" for i in range(63))
        + ")\n",
        "Declare a proposition for what belongs together, or split the machine: rewards of machines add up.",
    ),
    "unknown-proposition": Explanation(
        "A guard, a formula or a test names a proposition that is not declared.",
        "propositions: [coffee]\nreward:\n  ltl: F cofee\n",
        "propositions: [coffee]\nreward:\n  ltl: F coffee\n",
    ),
    "past-operator": Explanation(
        "Formulas look forwards; `once`, `since`, `historically` and their letters look back.",
        "propositions: [key, door]\nreward:\n  ltl: G(door -> once key)\n",
        "propositions: [key, door]\nreward:\n  ltl: not door W key\n  pay: end\n",
    ),
    "regular-expression-finite": Explanation(
        "Regular expressions in braces (PSL, SERE) are accepted with `semantics: infinite` only.",
        "propositions: [a, b]\nreward:\n  ltl: '{a; b}'\n",
        "propositions: [a, b]\nreward:\n  ltl: a & X b\n",
    ),
    "not-deterministic": Explanation(
        "The schemes `frontier` and `every_visit` pay on visits of a deterministic Buechi automaton, and none "
        "is known for this formula. `F G a` (from some step on, always) has none at all: no finite trace tells "
        "whether that step has come. `scheme: parity` pays for every formula, and is taken where none is named.",
        "propositions: [a]\ndiscount: 0.99\nreward:\n  ltl: F G a\n  semantics: infinite\n  scheme: frontier\n",
        "propositions: [a]\ndiscount: 0.99\nreward:\n  ltl: F G a\n  semantics: infinite\n",
    ),
}

MACHINES: dict[str, Explanation] = {
    "overlapping-guards": Explanation(
        "Two edges leave one state and their guards can hold together; which edge is taken would be left to"
        " chance. The message gives a step on which both hold.",
        "propositions: [coffee, broken]\nreward:\n  reward_machine:\n    start: want\n    edges:\n"
        "      - {from: want, to: have, when: coffee}\n      - {from: want, to: lost, when: broken}\n",
        "propositions: [coffee, broken]\nreward:\n  reward_machine:\n    start: want\n    edges:\n"
        "      - {from: want, to: have, when: coffee & !broken}\n"
        "      - {from: want, to: lost, when: broken}\n",
    ),
    "unknown-state": Explanation(
        "A state is named that the machine's edges do not have, or no edge leaves the initial state.",
        "propositions: [goal]\nreward:\n  reward_machine:\n    start: beginn\n    edges:\n"
        "      - {from: begin, to: end, when: goal, reward: 1}\n",
        "propositions: [goal]\nreward:\n  reward_machine:\n    start: begin\n    edges:\n"
        "      - {from: begin, to: end, when: goal, reward: 1}\n",
    ),
    "edge-from-terminal": Explanation(
        "A terminal state ends the episode, so an edge that leaves it can never be taken.",
        "propositions: [goal]\nreward:\n  reward_machine:\n    start: on\n    terminal: off\n    edges:\n"
        "      - {from: on, to: off, when: goal, reward: 1}\n      - {from: off, to: on}\n",
        "propositions: [goal]\nreward:\n  reward_machine:\n    start: on\n    terminal: off\n    edges:\n"
        "      - {from: on, to: off, when: goal, reward: 1}\n",
    ),
    "unknown-counter": Explanation(
        "An edge changes a counter that the machine does not declare.",
        "propositions: [lap]\nreward:\n  reward_machine:\n    start: u\n    counters: {laps: 0}\n    edges:\n"
        "      - {from: u, when: lap, count: {lap: laps + 1}}\n",
        "propositions: [lap]\nreward:\n  reward_machine:\n    start: u\n    counters: {laps: 0}\n    edges:\n"
        "      - {from: u, when: lap, count: {laps: laps + 1}}\n",
    ),
    "unfit-set-function": Explanation(
        "What a submodular term declares is no monotone set function with diminishing returns, or its tables do "
        "not fit the cells: a negative weight, a kernel without noise, no horizon, a map of another size.",
        "reward:\n  submodular:\n    coverage: {weight: i - 1}\n    cells: {counts: [4]}\n",
        "reward:\n  submodular:\n    coverage: {weight: i + 1}\n    cells: {counts: [4]}\n",
    ),
    "unknown-machine": Explanation(
        "A potential or a test names a machine that no term has. A machine has its term's name, which is "
        "the kind's where the term gives none.",
        "discount: 0.99\npropositions: [goal]\nreward:\n  - ltl: F goal\n  - potential: {machine: lt}\n",
        "discount: 0.99\npropositions: [goal]\nreward:\n  - ltl: F goal\n  - potential: {machine: ltl}\n",
    ),
    "unknown-labeller": Explanation(
        "`env: {labels: ...}` names a ready-made labeller, and there is none of that name.",
        "env: {labels: minigird}\nreward: 1\n",
        "env: {labels: minigrid}\nreward: 1\n",
    ),
    "unknown-label": Explanation(
        "The labeller that the spec names has no such label.",
        "env: {labels: minigrid}\npropositions: {key: label.carying_key}\nreward:\n  ltl: F key\n",
        "env: {labels: minigrid}\npropositions: {key: label.carrying_key}\nreward:\n  ltl: F key\n",
    ),
    "toro-icarte-syntax": Explanation(
        "The text is not a reward machine in the text format of Toro Icarte's repository: initial state, "
        "list of terminal states, then one transition a line.",
        "0\n[1]\n(0,1,'a&!b')\n",
        "0\n[1]\n(0,1,'a&!b',ConstantRewardFunction(1))\n",
    ),
    "toro-icarte-unsupported": Explanation(
        "The machine has something that the other format cannot say: counters, guards over computed values,"
        " or a reward function that is not known.",
        "0\n[1]\n(0,1,'a',MyRewardFunction())\n",
        "Hand the function's expression to the import, or write the machine as YAML.",
    ),
}

TESTS: dict[str, Explanation] = {
    "undecided-term": Explanation(
        "A test gives a trace of propositions and expects a number of a term that reads more than "
        "propositions.",
        "propositions: [goal]\nreward:\n  - {markov: -0.1 * reward, name: cost}\ntests:\n"
        "  - {name: one step, trace: [[goal]], return: {cost: -0.1}}\n",
        "reward:\n  - {markov: -0.1 * reward, name: cost}\ntests:\n"
        "  - {name: one step, transitions: [{reward: 1}], return: {cost: -0.1}}\n",
    ),
    "unknown-term": Explanation(
        "A test names a term that the spec does not have, or does not say which of several is meant.",
        "propositions: [goal]\nreward:\n  - ltl: F goal\ntests:\n"
        "  - {name: at once, trace: [[goal]], return: {lt: 1}}\n",
        "propositions: [goal]\nreward:\n  - ltl: F goal\ntests:\n"
        "  - {name: at once, trace: [[goal]], return: {ltl: 1}}\n",
    ),
    "unreadable-transition": Explanation(
        "A recorded transition lacks what the spec reads.",
        "reward: obs[1]\ntests:\n  - {name: one step, transitions: [{obs: [1]}], return: 1}\n",
        "reward: obs[0]\ntests:\n  - {name: one step, transitions: [{obs: [1]}], return: 1}\n",
    ),
}

MEANING: dict[str, Explanation] = {**EXPRESSIONS, **FORMULAS, **MACHINES, **TESTS}
