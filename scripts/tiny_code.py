"""Procedurally generated Python modules for the tiny model's pre-training: random names, random small functions.

Nothing here knows the quickstart repositories. A module is made of short functions over ints, strings and lists, each with
example calls; `mutants` lists the one-line mutations of a function.
"""

from __future__ import annotations

import builtins
import keyword
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from swe_srl.tasks.synthesis.mutations import mutations

NOUNS = """account age alarm amount angle answer apple area arrow badge bag balance ball band bank bar base basket batch bed
bell bill bin bird block board boat body bolt bond bonus book border bottle bounds box branch bread brick bridge bucket budget
button cable cake camera card cargo cart case cell chain chair channel char chart check chess circle city clock cloth
cloud club coat code coin color column cookie copy corner cost count course cover crate credit crop cup curve customer cycle
data date day deck degree delay depth desk device dial digit dish distance dollar door dose dozen draft drawer driver drop
edge egg engine entry error event face factor farm fee fence field file filter fish flag flight floor flow fold folder font
food fork form frame fuel game gap garden gate gear gift glass goal grade grain graph grid group guest guide half hall hand
harbor hat head heap heat height hill hint hole hook hotel hour house hub ice image index input item jar job joint journal
judge key kit label ladder lake lamp land lane layer leaf ledger length lens letter level light limit line link list load
loan lock log loop lot lunch machine magnet mail map margin mark mask match matrix meal mean measure menu message meter
method milk mine minute mirror mix mode model month moon motor mount mouse name nest net node note number object offer
office oil option orbit order oven owner pack page pair panel paper park part party pass patch path pause pay peak pen
period phase phone photo pile pin pipe pixel plan plane plant plate player plot point pool port post pot power price prize
profile pulse pump purse queue quota race rack radio rail rain range rank rate ratio record region rent report rest result
reward ribbon ring river road robot rock role roof room root rope round route row rule run salt sample sand scale scene
school score screen seat section seed segment sensor series shape share sheet shelf shift ship shop shot side sign signal
size skill slice slot smoke snow soap sock song sound soup space span speed spot stack staff stage stair stamp star start
state station status steam step stick stock stone stop store storm story stove stream street stretch string strip sugar sum
supply surface switch symbol table tag tail tank task tax team temp term test text theme ticket tile time tip title toast
token tone tool top total tower town toy track trade traffic trail train tray tree trend trial trip truck tube tune turn unit
user value vault vector video view village visit voice volume vote wage wall watch water wave weather week weight wheel width
wind window wing wire wood word work worker yard year zone""".split()
VERBS = """add apply build calc cap change check clamp clean clear clip collect combine compare convert count cut decode drop
encode expand fill filter find first fit fix flip fold format get group has is join keep last limit list load longest lower
make mark max measure merge min move next normalize number open pack pad parse pick push rank read remove repeat replace reset
reverse rotate round scale scan search select shift shorten show shrink skip smallest sort split squash step strip sum swap
take test to total trim turn unpack update upper validate wrap""".split()
INT_NAMES = "value low high count size width height total limit price amount start end step left right first second level".split()
INT_NAMES += (
    "days hours minutes rate base factor points age year offset n a b x y k number quantity cost weight depth".split()
)
STR_NAMES = (
    "text name word label line code title key prefix suffix letter message string char sentence s tag path".split()
)
LIST_NAMES = (
    "values numbers items scores data points prices counts sizes amounts weights nums xs series readings".split()
)
WORD_NAMES = "words names lines labels parts tokens keys tags items entries titles codes".split()
ITEM_NAMES = "value number item score x n entry point current each".split()
TEXT_ITEMS = "word name line part token item entry w piece".split()
ACCUMULATORS = "total result count out best found kept acc answer picked seen".split()
SHORT = "a b c ab ba abc xyz cat dog sun map key box red blue one two hello world Apple Bob Zed level noon left-right x-y A1 b2".split()
SHORT += [
    "a b",
    "a,b,c",
    "Hi there",
    " pad ",
    "one two three",
    "",
    "kayak",
    "tea time",
    "UPPER",
    "Mixed Case",
    "k=v",
    "a:b",
]


@dataclass(slots=True)
class Function:
    """One function or method: source lines (indented as in the file), its name, and example expressions."""

    name: str
    lines: list[str]
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Module:
    """One module: its path, its text, and where each function is."""

    package: str
    name: str
    functions: list[Function]
    text: str
    starts: dict[str, int]  # 1-based line of each function's `def`

    @property
    def path(self) -> str:
        return f"{self.package}/{self.name}.py"

    @property
    def importing(self) -> str:
        return f"from {self.package}.{self.name} import *"


class CodeMaker:
    """Makes random modules from one random generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def name(self) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < 0.4:
            return self.invented()
        if roll < 0.5:
            return rng.choice(NOUNS)
        return rng.choice(NOUNS) + (rng.choice(["s", "er", "ing", "ed"]) if rng.random() < 0.15 else "")

    def invented(self) -> str:
        """A word nobody has seen: what makes the model copy names instead of guessing them."""
        rng = self.rng
        starts = "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sp st str t th tr v w z".split()
        ends = "ck d ft l ld ll m mp n nd ng nt p r rd rk rn s sh st t x ssed ger tor mit".split()
        word = "".join(rng.choice(starts) + rng.choice("aeiou") for _ in range(rng.randint(1, 2)))
        return word + rng.choice(ends) + (rng.choice(["", "", "s", "ed", "er", "est", "ing", "y"]))

    def function_name(self) -> str:
        rng = self.rng
        parts = [rng.choice(VERBS) if rng.random() < 0.6 else self.name()]
        while rng.random() < (0.75 if len(parts) == 1 else 0.15):
            parts.append(self.name() if rng.random() < 0.9 else rng.choice(VERBS))
        name = "_".join(parts)
        return self.function_name() if keyword.iskeyword(name) or hasattr(builtins, name) else name

    def distinct(self, pool: list[str], count: int) -> list[str]:
        return self.rng.sample(pool, count)

    # --- values and expressions
    def constant(self) -> int:
        rng = self.rng
        return (
            rng.choice([0, 1, 1, 2, 2, 3, 4, 5, 7, 10, 10, 12, 24, 60, 100])
            if rng.random() < 0.85
            else rng.randint(0, 400)
        )

    def text(self) -> str:
        rng = self.rng
        if rng.random() < 0.6:
            return rng.choice(SHORT)
        words = [rng.choice(NOUNS) if rng.random() < 0.6 else self.invented() for _ in range(rng.randint(1, 3))]
        text = rng.choice([" ", " ", "-", ","]).join(words)
        return text.title() if rng.random() < 0.2 else text

    def quoted(self, text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def number_expression(self, names: list[str], depth: int = 0) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < 0.2 or depth > 1:
            return rng.choice(names)
        left = rng.choice(names)
        right = rng.choice(names) if rng.random() < 0.5 else str(self.constant())
        operator = rng.choice(["+", "-", "*", "+", "-", "*", "//", "%"])
        if operator in ("//", "%"):
            right = str(rng.choice([2, 3, 4, 5, 7, 10, 12, 60, 100]))
        if roll < 0.65:
            return f"{left} {operator} {right}"
        if roll < 0.8:
            return f"({left} {rng.choice('+-')} {right if operator not in ('//', '%') else self.constant()}) * {rng.choice(names)}"
        if roll < 0.9:
            return f"{rng.choice(['min', 'max'])}({left}, {right})"
        if roll < 0.95:
            return f"abs({left} - {right})"
        return f"{left} {rng.choice('+-')} {right} {rng.choice('*+-')} {rng.choice(names)}"

    def number_test(self, names: list[str], depth: int = 0) -> str:
        rng = self.rng
        roll = rng.random()
        if depth == 0 and roll < 0.22:
            joint = rng.choice(["and", "or"])
            return f"{self.number_test(names, 1)} {joint} {self.number_test(names, 1)}"
        left = rng.choice(names)
        if roll < 0.32:
            return f"{left} % {rng.choice([2, 3, 4, 5, 10])} {rng.choice(['==', '!='])} {rng.choice([0, 0, 1])}"
        right = rng.choice(names) if rng.random() < 0.4 and len(names) > 1 else str(self.constant())
        if right == left:
            right = str(self.constant())
        if roll < 0.37:
            low, high = sorted([self.constant(), self.constant() + 5])
            return f"{low} {rng.choice(['<', '<='])} {left} {rng.choice(['<', '<='])} {high}"
        return f"{left} {rng.choice(['<', '<=', '>', '>=', '<', '>', '==', '!='])} {right}"

    def text_test(self, name: str, other: str | None = None) -> str:
        rng = self.rng
        piece = self.quoted(rng.choice(["a", "b", "x", "s", "-", " ", "#", "A", "e", "o", "t"]))
        choices = [
            f"{name}.startswith({other or piece})",
            f"{name}.endswith({other or piece})",
            f"{piece} in {name}",
            f"{piece} not in {name}",
            f"not {name}",
            f"{name}.isupper()",
            f"{name}.islower()",
            f"{name}.isdigit()",
            f"len({name}) {rng.choice(['<', '<=', '>', '>=', '=='])} {rng.randint(1, 6)}",
            f"{name}[0] {rng.choice(['==', '!='])} {name}[-1]",
            f"{name} == {name}[::-1]",
        ]
        test = rng.choice(choices)
        if rng.random() < 0.15:
            return f"{test} {rng.choice(['and', 'or'])} len({name}) {rng.choice(['<', '>'])} {rng.randint(1, 6)}"
        return test

    def text_expression(self, name: str) -> str:
        rng = self.rng
        k = rng.randint(1, 4)
        return rng.choice(
            [
                f"{name}.upper()", f"{name}.lower()", f"{name}.strip()", f"{name}.title()", f"{name}.capitalize()",
                f"{name}.lstrip()", f"{name}.rstrip()", f"{name}[{k}:]", f"{name}[:{k}]", f"{name}[-{k}:]", f"{name}[:-{k}]",
                f"{name}[::-1]", f'{name} + {self.quoted(rng.choice([".", "!", "-", "s", "?"]))}',
                f'{name}.replace({self.quoted(rng.choice(["a", " ", "-"]))}, {self.quoted(rng.choice(["", "_", "x"]))})',
                f"{name} * {k}", f"{name}.strip().lower()", f"{name}.split()[{rng.choice([0, -1])}]",
                f"{name}[0].upper() + {name}[1:]", f"{name}.ljust({k + 3}, \"*\")", f"{name}.rjust({k + 3}, \"0\")",
            ]
        )  # fmt: skip

    # --- function bodies: each returns (parameters with kinds, body lines)
    def body(self) -> tuple[list[tuple[str, str]], list[str]]:
        makers: list[Callable[[], tuple[list[tuple[str, str]], list[str]]]] = [
            self.guards, self.guards, self.guards, self.arithmetic, self.arithmetic, self.loop, self.loop, self.comprehension,
            self.text_function, self.text_function, self.boolean, self.boolean, self.counting, self.clamping, self.slicing,
            self.text_loop, self.joining, self.ordering, self.pairs, self.searching, self.defaults, self.indexing,
            self.points, self.dict_loop, self.choice, self.helpers,
        ]  # fmt: skip
        return self.rng.choice(makers)()

    def guards(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        names = self.distinct(INT_NAMES, rng.randint(1, 3))
        lines = []
        words = rng.random() < 0.35
        for _ in range(rng.choice([1, 1, 2, 2, 3])):
            lines.append(f"if {self.number_test(names)}:")
            result = self.quoted(rng.choice(NOUNS)) if words else self.result(names)
            lines.append(f"    return {result}")
        lines.append(f"return {self.quoted(rng.choice(NOUNS)) if words else self.number_expression(names)}")
        return [(name, "int") for name in names], lines

    def result(self, names: list[str]) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < 0.3:
            return str(self.constant())
        if roll < 0.4:
            return rng.choice(["True", "False", "None", "-1", "0"])
        return self.number_expression(names)

    def arithmetic(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        names = self.distinct(INT_NAMES, rng.randint(2, 3))
        known, lines = list(names), []
        for _ in range(rng.choice([0, 1, 1, 2])):
            local = rng.choice([n for n in INT_NAMES + NOUNS[:80] if n not in known])
            lines.append(f"{local} = {self.number_expression(known)}")
            known.append(local)
        last = known[-1]
        final = self.number_expression(known)
        if rng.random() < 0.15:
            final = f"({self.number_expression(known)}, {self.number_expression(known)})"
        elif lines and last not in final:
            final = f"{last} {rng.choice('+-*')} {rng.choice(names)}"
        return [(name, "int") for name in names], [*lines, f"return {final}"]

    def loop(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        values, item, acc = rng.choice(LIST_NAMES), rng.choice(ITEM_NAMES), rng.choice(ACCUMULATORS)
        extra = [n for n in self.distinct(INT_NAMES, 2) if n not in (values, item, acc)][: rng.randint(0, 1)]
        listing = rng.random() < 0.4
        start = "[]" if listing else str(rng.choice([0, 0, 0, 1]))
        do = f"{acc}.append({self.number_expression([item, *extra])})" if listing else None
        do = do or f"{acc} {rng.choice(['+=', '+=', '-=', '*='])} {self.number_expression([item, *extra])}"
        if not listing and rng.random() < 0.3:
            do = f"{acc} += 1"
        lines = [f"{acc} = {start}", f"for {item} in {values}:"]
        if rng.random() < 0.65:
            lines += [f"    if {self.number_test([item, *extra])}:", f"        {do}"]
            if rng.random() < 0.2:
                lines += ["    else:", f"        {acc + '.append(0)' if listing else acc + ' -= 1'}"]
        else:
            lines.append(f"    {do}")
        lines.append(
            f"return {acc}" if listing or rng.random() < 0.75 else f"return {acc} {rng.choice('+-*')} {self.constant()}"
        )
        return [(values, "ints"), *((name, "int") for name in extra)], lines

    def comprehension(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        if rng.random() < 0.5:
            values, item, kind = rng.choice(LIST_NAMES), rng.choice(ITEM_NAMES), "ints"
            extra = [n for n in self.distinct(INT_NAMES, 1) if n != item and n != values][: rng.randint(0, 1)]
            inner, test = self.number_expression([item, *extra]), self.number_test([item, *extra])
        else:
            values, item, kind = rng.choice(WORD_NAMES), rng.choice(TEXT_ITEMS), "words"
            extra = []
            inner, test = rng.choice([item, self.text_expression(item), f"len({item})"]), self.text_test(item)
        if values == item:
            item = "each"
            inner, test = inner.replace(values, item), test.replace(values, item)
        condition = f" if {test}" if rng.random() < 0.7 else ""
        wrap = rng.choice(["[{}]", "[{}]", "len([{}])", "sorted([{}])", "sorted({{{}}})"])
        if kind == "ints" and rng.random() < 0.3:
            wrap = rng.choice(["sum({})", "sum([{}])"])
        if rng.random() < 0.12:
            expression = f"{rng.choice(['any', 'all'])}({test} for {item} in {values})"
        else:
            expression = wrap.format(f"{inner} for {item} in {values}{condition}")
        return [(values, kind), *((name, "int") for name in extra)], [f"return {expression}"]

    def text_function(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        name = rng.choice(STR_NAMES)
        other = rng.choice([n for n in STR_NAMES if n != name]) if rng.random() < 0.25 else None
        lines = []
        if rng.random() < 0.25:
            lines.append(f"{name} = {self.text_expression(name)}")
        for _ in range(rng.choice([1, 1, 2])):
            lines.append(f"if {self.text_test(name, other)}:")
            lines.append(
                f"    return {rng.choice([self.text_expression(name), name, self.quoted(rng.choice(NOUNS)), 'True', 'False'])}"
            )
        lines.append(
            f"return {rng.choice([self.text_expression(name), self.text_expression(name), name, f'len({name})'])}"
        )
        return [(name, "str"), *([(other, "str")] if other else [])], lines

    def boolean(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        if rng.random() < 0.3:
            name = rng.choice(STR_NAMES)
            test = self.text_test(name)
            return [(name, "str")], [
                f"return {'not ' + test if ' and ' not in test and ' or ' not in test and rng.random() < 0.2 and not test.startswith('not') else test}"
            ]
        names = self.distinct(INT_NAMES, rng.randint(1, 3))
        if rng.random() < 0.3:
            flag = rng.choice(["done", "flag", "active", "open_now", "ready", "paid", "member", "strict", "is_new"])
            lines = [
                f"return {rng.choice(['', 'not '])}{flag} {rng.choice(['and', 'or'])} {self.number_test(names, 1)}"
            ]
            return [*((name, "int") for name in names), (flag, "bool")], lines
        lines = (
            [f"if {self.number_test(names)}:", f"    return {rng.choice(['True', 'False'])}"]
            if rng.random() < 0.4
            else []
        )
        return [(name, "int") for name in names], [*lines, f"return {self.number_test(names)}"]

    def counting(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        words, item = rng.choice(WORD_NAMES), rng.choice(["w", "each", "one", "piece"])
        counts = rng.choice(["counts", "seen", "table", "tally", "groups"])
        key = rng.choice([item, f"{item}[0]", f"len({item})", f"{item}.lower()"])
        lines = [f"{counts} = {{}}", f"for {item} in {words}:", f"    {counts}[{key}] = {counts}.get({key}, 0) + 1"]
        lines.append(
            rng.choice(
                [
                    f"return {counts}",
                    f"return len({counts})",
                    f"return max({counts}.values())",
                    f"return sorted({counts})",
                ]
            )
        )
        return [(words, "words")], lines

    def clamping(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        value, low, high = self.distinct(INT_NAMES, 3)
        body = rng.choice(
            [
                [f"return max({low}, min({value}, {high}))"],
                [
                    f"if {value} < {low}:",
                    f"    return {low}",
                    f"if {value} > {high}:",
                    f"    return {high}",
                    f"return {value}",
                ],
                [f"if {value} <= {low}:", f"    return {low}", f"return min({value}, {high})"],
                [f"{value} = max({value}, {low})", f"return min({value}, {high}) - {low}"],
                [f"return {low} <= {value} < {high}"],
                [f"return {value} < {low} or {value} > {high}"],
            ]
        )
        return [(value, "int"), (low, "int"), (high, "int")], body

    def slicing(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        values, size = rng.choice(LIST_NAMES), rng.choice(INT_NAMES)
        k = rng.randint(1, 3)
        body = rng.choice(
            [
                [f"return {values}[{k}:] + {values}[:{k}]"],
                [f"return {values}[-{size}:]"],
                [f"if {size} >= len({values}):", f"    return {values}", f"return {values}[:{size}]"],
                [f"return {values}[::-1][:{size}]"],
                [f"return [{values}[i : i + {size}] for i in range(0, len({values}), {size})]"],
                [f"middle = len({values}) // 2", f"return {values}[middle:] + {values}[:middle]"],
                [f"{size} = {size} % len({values})", f"return {values}[{size}:] + {values}[:{size}]"],
                [f"ordered = sorted({values})", f"return ordered[{k}:-{k}]"],
                [f"return sum({values}[:{size}])"],
            ]
        )
        kinds = [(values, "ints")]
        return ([*kinds, (size, "small")] if any(size in line for line in body) else kinds), body

    def text_loop(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        text, acc, char = (
            rng.choice(STR_NAMES[:5]),
            rng.choice(["out", "result", "kept", "answer"]),
            rng.choice(["char", "letter", "c", "ch"]),
        )
        test = rng.choice(
            [f'{char} in "aeiou"', f'{char} not in "aeiou"', f'{char} != " "', f"{char}.isupper()", f"{char}.isdigit()", f"{char} not in {acc}",
             f'{char} == "{rng.choice("abeost")}"', f"{char}.isalpha()"]
        )  # fmt: skip
        if rng.random() < 0.5:
            do = rng.choice([f"{acc} += {char}", f"{acc} += {char}.upper()", f"{acc} = {char} + {acc}"])
            return [(text, "str")], [
                f'{acc} = ""',
                f"for {char} in {text}:",
                f"    if {test}:",
                f"        {do}",
                f"return {acc}",
            ]
        test = test.replace(f"not in {acc}", '!= "-"')
        return [(text, "str")], [
            f"{acc} = 0",
            f"for {char} in {text}:",
            f"    if {test}:",
            f"        {acc} += 1",
            f"return {acc}",
        ]

    def joining(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        text, sep = rng.choice(STR_NAMES[:6]), rng.choice(["-", " ", "_", ", ", "/", ""])
        first = rng.choice([f"parts = {text}.split()", f'parts = {text}.split("-")', f"parts = {text}.lower().split()"])
        joined = rng.choice(
            [
                "parts",
                "parts[::-1]",
                "sorted(parts)",
                "parts[1:]",
                "parts[:-1]",
                "[p.upper() for p in parts]",
                "[p[0] for p in parts]",
                "[p.title() for p in parts]",
            ]
        )
        middle = (
            [f"if len(parts) {rng.choice(['<', '<=', '==', '>'])} {rng.randint(1, 3)}:", f"    return {text}"]
            if rng.random() < 0.4
            else []
        )
        return [(text, "str")], [first, *middle, f'return "{sep}".join({joined})']

    def ordering(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        values = rng.choice(LIST_NAMES)
        best, item = (
            rng.choice(["best", "top", "lowest", "highest", "found"]),
            rng.choice(["v", "each", "one", "current"]),
        )
        body = rng.choice(
            [
                [
                    f"{best} = {values}[0]",
                    f"for {item} in {values}[1:]:",
                    f"    if {item} {rng.choice('<>')} {best}:",
                    f"        {best} = {item}",
                    f"return {best}",
                ],
                [f"return max({values}) - min({values})"],
                [f"return sorted({values})[{rng.choice([0, 1, -1, -2])}]"],
                [
                    f"ordered = sorted({values}, reverse={rng.choice(['True', 'False'])})",
                    f"return ordered[{rng.choice([0, 1, -1])}]",
                ],
                [
                    f"if not {values}:",
                    f"    return {rng.choice(['0', 'None', '-1'])}",
                    f"return sum({values}) // len({values})",
                ],
                [f"return {values} == sorted({values})"],
                [f"return {values}.index({rng.choice(['max', 'min'])}({values}))"],
            ]
        )
        return [(values, "ints")], body

    def pairs(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        values = rng.choice(LIST_NAMES)
        return [(values, "ints")], rng.choice(
            [
                [f"return [b - a for a, b in zip({values}, {values}[1:])]"],
                [f"return [a + b for a, b in zip({values}, {values}[1:])]"],
                [f"return all(a {rng.choice(['<', '<=', '>'])} b for a, b in zip({values}, {values}[1:]))"],
                [
                    f"return [i for i, value in enumerate({values}) if value {rng.choice(['>', '<', '=='])} {self.constant()}]"
                ],
                [f"return sum(i * value for i, value in enumerate({values}))"],
                [
                    "out = []",
                    f"for i, value in enumerate({values}):",
                    f"    if i % 2 == {rng.choice([0, 1])}:",
                    "        out.append(value)",
                    "return out",
                ],
                [
                    "out = [0]",
                    f"for value in {values}:",
                    f"    out.append(out[-1] {rng.choice('+-')} value)",
                    f"return out{rng.choice(['', '[1:]'])}",
                ],
            ]
        )

    def searching(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        values, goal = rng.choice(LIST_NAMES), rng.choice(["target", "goal", "wanted", "limit", "needle"])
        op = rng.choice(["==", ">", ">=", "<", "<="])
        miss = rng.choice(["-1", "None", f"len({values})"])
        body = [
            f"for i, value in enumerate({values}):",
            f"    if value {op} {goal}:",
            f"        return {rng.choice(['i', 'i + 1', 'value'])}",
            f"return {miss}",
        ]
        if rng.random() < 0.3:
            body = [
                f"if {goal} in {values}:",
                f"    return {values}.index({goal}){rng.choice(['', ' + 1'])}",
                f"return {miss}",
            ]
        return [(values, "ints"), (goal, "int")], body

    def defaults(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        table, key = (
            rng.choice(["table", "stock", "prices", "scores", "ages", "config"]),
            rng.choice(["key", "name", "item", "code"]),
        )
        body = rng.choice(
            [
                [f"return {table}.get({key}, {self.constant()})"],
                [
                    f"if {key} {rng.choice(['in', 'not in'])} {table}:",
                    f"    return {self.constant()}",
                    f"return {table}.get({key}, 0) {rng.choice('+-*')} {self.constant()}",
                ],
                [f"{table}[{key}] = {table}.get({key}, 0) {rng.choice('+-')} {rng.randint(1, 3)}", f"return {table}"],
                [
                    f"return sorted(k for k, v in {table}.items() if v {rng.choice(['>', '<', '>=', '<='])} {self.constant()})"
                ],
                [f"return sum({table}.values()) {rng.choice('+-*')} {rng.randint(1, 3)}"],
            ]
        )
        used = any(key in line.replace("keys", "") for line in body)
        return [(table, "dict"), *([(key, "keyword")] if used else [])], body

    def indexing(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        names = self.distinct(INT_NAMES, 2)
        words = [rng.choice(NOUNS) for _ in range(rng.randint(3, 4))]
        listing = "[" + ", ".join(self.quoted(word) for word in words) + "]"
        local = rng.choice(["names", "labels", "kinds", "order"])
        index = rng.choice(
            [
                f"{names[0]} % {len(words)}",
                f"({names[0]} + {names[1]}) % {len(words)}",
                f"min({names[0]}, {len(words) - 1})",
            ]
        )
        used = [n for n in names if n in index]
        return [(name, "small") for name in used], [f"{local} = {listing}", f"return {local}[{index}]"]

    def points(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        a, b = rng.choice([("a", "b"), ("first", "second"), ("p", "q"), ("start", "end"), ("left", "right")])
        op, i = rng.choice("+-*"), rng.choice([0, 1])
        single, values = (
            rng.choice(["point", "pair", "cell", "span"]),
            rng.choice(["points", "pairs", "cells", "spans"]),
        )
        x, y = rng.choice([("x", "y"), ("low", "high"), ("row", "col"), ("start", "end")])
        return rng.choice(
            [
                ([(a, "pair"), (b, "pair")], [f"return ({a}[0] {op} {b}[0], {a}[1] {op} {b}[1])"]),
                ([(a, "pair"), (b, "pair")], [f"return abs({a}[0] - {b}[0]) + abs({a}[1] - {b}[1])"]),
                (
                    [(a, "pair"), (b, "pair")],
                    [
                        f"if {a}[1] {rng.choice(['<', '<=', '>'])} {b}[0]:",
                        f"    return {rng.choice(['False', 'None'])}",
                        f"return (min({a}[0], {b}[0]), max({a}[1], {b}[1]))",
                    ],
                ),
                ([(single, "pair")], [f"{x}, {y} = {single}", f"return {self.number_expression([x, y])}"]),
                (
                    [(single, "pair"), ("k", "int")],
                    [f"{x}, {y} = {single}", f"return ({x} {op} k, {y} {rng.choice('+-*')} k)"],
                ),
                (
                    [(values, "pairs")],
                    [f"return [{x} for {x}, {y} in {values}{rng.choice(['', f' if {self.number_test([x, y])}'])}]"],
                ),
                (
                    [(values, "pairs")],
                    [
                        "total = 0",
                        f"for {x}, {y} in {values}:",
                        f"    total += {self.number_expression([x, y])}",
                        "return total",
                    ],
                ),
                ([(values, "pairs")], [f"return {rng.choice(['min', 'max'])}({single}[{i}] for {single} in {values})"]),
            ]
        )

    def dict_loop(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        table, key = (
            rng.choice(["table", "stock", "shelf", "prices", "scores", "votes"]),
            rng.choice(["name", "key", "item", "word"]),
        )
        value = rng.choice(["amount", "count", "value", "price"])
        return rng.choice(
            [
                (
                    [(table, "dict")],
                    [
                        "total = 0",
                        f"for {key}, {value} in {table}.items():",
                        f"    if {value} {rng.choice(['>', '<', '>=', '!='])} {rng.randint(0, 5)}:",
                        f"        total += {value}",
                        "return total",
                    ],
                ),
                (
                    [(table, "dict"), ("limit", "int")],
                    [
                        "names = []",
                        f"for {key} in sorted({table}):",
                        f"    if {table}[{key}] {rng.choice(['>', '<', '>=', '<='])} limit:",
                        f"        names.append({key})",
                        "return names",
                    ],
                ),
                (
                    [(table, "dict"), (key, "keyword"), (value, "int")],
                    [f"{table}[{key}] = {table}.get({key}, 0) {rng.choice('+-')} {value}", f"return {table}"],
                ),
                (
                    [(table, "dict"), (key, "keyword"), (value, "int")],
                    [
                        f"taken = {rng.choice(['min', 'max'])}({table}.get({key}, 0), {value})",
                        f"return taken {rng.choice('+-*')} {value}",
                    ],
                ),
                (
                    [("first", "dict"), ("second", "dict")],
                    [
                        "result = dict(first)",
                        f"for {key}, {value} in second.items():",
                        f"    result[{key}] = result.get({key}, 0) + {value}",
                        "return result",
                    ],
                ),
                (
                    [("names", "words"), (table, "dict")],
                    [f"return [{key} for {key} in names if {key} {rng.choice(['in', 'not in'])} {table}]"],
                ),
            ]
        )

    def choice(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        names = self.distinct(INT_NAMES, rng.randint(1, 2))
        test = self.number_test(names)
        first, second = (
            (self.quoted(rng.choice(NOUNS)) for _ in range(2))
            if rng.random() < 0.4
            else (self.result(names), self.result(names))
        )
        lines = [f"return {first} if {test} else {second}"]
        if rng.random() < 0.4:
            lines = [
                f"if {self.number_test(names)}:",
                *("    " + line for line in lines),
                f"return {self.result(names)}",
            ]
        return [(name, "int") for name in names], lines

    def helpers(self) -> tuple[list[tuple[str, str]], list[str]]:
        rng = self.rng
        text, width, mark = (
            rng.choice(STR_NAMES[:6]),
            rng.choice(["width", "limit", "size", "length"]),
            rng.choice(["mark", "gap", "fill"]),
        )
        op = rng.choice(["<", "<=", ">", ">="])
        return rng.choice(
            [
                (
                    [(text, "str"), (width, "small")],
                    [
                        f"if len({text}) {op} {width}:",
                        f"    return {text}",
                        f"return {text}[:{width} - 1] + {self.quoted(rng.choice('.~-'))}",
                    ],
                ),
                (
                    [(text, "str"), (width, "small")],
                    [
                        f"space = {width} - len({text})",
                        "if space <= 0:",
                        f"    return {text}",
                        f'return " " * space + {text}',
                    ],
                ),
                (
                    [(text, "str"), (mark, "str")],
                    [
                        f"if {mark} and {text}.{rng.choice(['startswith', 'endswith'])}({mark}):",
                        f"    return {text}[len({mark}):]",
                        f"return {text}",
                    ],
                ),
                ([(text, "str"), (width, "small"), (mark, "keyword")], [f"return {mark}.join([{text}] * {width})"]),
                ([(text, "str"), (width, "int")], [f"if {width} == 1:", f"    return {text}", f'return {text} + "s"']),
                ([(text, "str"), (width, "small")], [f"return {text} * {width} + {text}[:{width}]"]),
            ]
        )

    # --- arguments and whole modules
    def argument(self, kind: str) -> str:
        rng = self.rng
        if kind == "int":
            return str(
                rng.choice(
                    [
                        0,
                        1,
                        2,
                        3,
                        4,
                        5,
                        6,
                        7,
                        8,
                        9,
                        10,
                        12,
                        15,
                        20,
                        24,
                        50,
                        60,
                        99,
                        100,
                        -1,
                        -3,
                        self.constant(),
                        self.constant() + 1,
                    ]
                )
            )
        if kind == "small":
            return str(rng.randint(1, 4))
        if kind == "bool":
            return rng.choice(["True", "False"])
        if kind == "str":
            return self.quoted(self.text())
        if kind == "keyword":
            return self.quoted(rng.choice("abcd"))
        if kind == "pair":
            return f"({rng.randint(-2, 12)}, {rng.randint(0, 15)})"
        if kind == "pairs":
            return "[" + ", ".join(self.argument("pair") for _ in range(rng.randint(1, 3))) + "]"
        if kind == "dict":
            return (
                "{" + ", ".join(f'"{key}": {rng.randint(0, 12)}' for key in rng.sample("abcd", rng.randint(1, 3))) + "}"
            )
        if kind == "words":
            return "[" + ", ".join(self.quoted(self.text()) for _ in range(rng.randint(1, 4))) + "]"
        return (
            "["
            + ", ".join(str(rng.choice([rng.randint(0, 12), rng.randint(-4, 30)])) for _ in range(rng.randint(1, 5)))
            + "]"
        )

    def function(self, method_of: str | None = None) -> Function:
        rng = self.rng
        name = self.function_name()
        parameters, body = self.body()
        names = [n for n, _ in parameters]
        indent = "    " if method_of else ""
        head = f"{indent}def {name}({', '.join((['self'] if method_of else []) + names)}):"
        lines = [head]
        if rng.random() < 0.45:
            lines.append(f'{indent}    """{self.sentence(name)}"""')
        lines += [f"{indent}    {line}" for line in body]
        examples = []
        for _ in range(8):
            call = f"{name}({', '.join(self.argument(kind) for _, kind in parameters)})"
            examples.append(f"{method_of}.{call}" if method_of else call)
        return Function(name, lines, examples)

    def sentence(self, name: str) -> str:
        rng = self.rng
        words = [
            rng.choice(["the", "a", "each", "every", "all", "of", "with", "in", "at", "or", *NOUNS[:60], *VERBS[:20]])
            for _ in range(rng.randint(2, 6))
        ]
        return (
            (name.replace("_", " ") if rng.random() < 0.5 else rng.choice(VERBS)).capitalize()
            + " "
            + " ".join(words)
            + "."
        )

    def state_class(self) -> tuple[list[str], list[Function]]:
        """A small class with one number or list of state and two or three methods over it."""
        rng = self.rng
        title, attribute = (
            "".join(part.title() for part in [self.name(), *([self.name()] if rng.random() < 0.3 else [])]),
            rng.choice(INT_NAMES),
        )
        head = [
            f"class {title}:",
            f"    def __init__(self, {attribute}):",
            f"        self.{attribute} = {attribute}",
            "",
        ]
        functions = []
        for _ in range(rng.randint(2, 3)):
            name, other = self.function_name(), rng.choice([n for n in INT_NAMES if n != attribute])
            names = [f"self.{attribute}", other]
            body = rng.choice(
                [
                    [f"return {self.number_expression(names)}"],
                    [f"if {self.number_test(names)}:", f"    return {self.result(names)}", f"return self.{attribute}"],
                    [f"self.{attribute} {rng.choice(['+=', '-='])} {other}", f"return self.{attribute}"],
                    [
                        f"if {other} {rng.choice(['<', '<=', '>', '>='])} self.{attribute}:",
                        "    return False",
                        f"self.{attribute} {rng.choice(['+=', '-='])} {other}",
                        "return True",
                    ],
                    [f"return self.{attribute} {rng.choice(['<', '<=', '>', '>=', '=='])} {other}"],
                ]
            )
            lines = [f"    def {name}(self, {other}):", *(f"        {line}" for line in body)]
            examples = [f"{title}({self.argument('int')}).{name}({self.argument('int')})" for _ in range(8)]
            functions.append(Function(name, lines, examples))
        return head, functions

    def module(self, package: str, name: str) -> Module:
        rng = self.rng
        lines = [f'"""{self.sentence(name)}"""', "", ""] if rng.random() < 0.6 else []
        functions: list[Function] = []
        starts: dict[str, int] = {}
        for _ in range(rng.randint(4, 7)):
            if rng.random() < 0.1:
                head, members = self.state_class()
                lines += head
                blocks = members
            else:
                blocks = [self.function()]
            for index, function in enumerate(blocks):
                if function.name in starts:
                    continue
                starts[function.name] = len(lines) + 1
                lines += [*function.lines, *([""] if index < len(blocks) - 1 else [])]
                functions.append(function)
            lines += ["", ""]
        return Module(package, name, functions, "\n".join(lines).rstrip("\n") + "\n", starts)


def mutants(lines: list[str]) -> list[tuple[str, int, str]]:
    """Mutations of one function given as its lines: kind, index of the line, the line after it (the task synthesis's own)."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    source = "\n".join(line[indent:] for line in lines) + "\n"
    return [(m.kind, m.line - 1, " " * indent + m.new) for m in mutations(source)]
