def split_fields(line, mark):
    """Fields of a line without blanks around them."""
    return [field.strip() for field in line.split(mark)]


def is_number(text):
    """Tell whether a text is a whole number, with a sign or not."""
    if text.startswith("-"):
        text = text[1:]
    return text.isdigit()


def is_name(text):
    if not text or text[0].isdigit():
        return False
    return all(c.isalnum() or c == "_" for c in text)


def kind_of(token):
    if token.isdigit():
        return "number"
    if token.isalpha():
        return "word"
    return "mark"


def read_digits(text, start):
    """Digits of a text from a place on."""
    end = start
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[start:end]


def skip_blanks(text, start):
    while start < len(text) and text[start] == " ":
        start += 1
    return start


def strip_comment(line):
    """The line before the first hash."""
    place = line.find("#")
    if place < 0:
        return line
    return line[:place].rstrip()


def unquote(text, mark):
    if len(text) < 2:
        return text
    if text[0] == mark and text[-1] == mark:
        return text[1:-1]
    return text


def escape(text):
    """Every slash twice."""
    return text.replace("/", "//")


def count_lines(text):
    """Parts between slashes that are not blank."""
    return sum(1 for line in text.split("/") if line.strip())


def indent_of(line):
    """Number of blanks before a line."""
    return len(line) - len(line.lstrip())


def join_tokens(tokens):
    """Tokens with a blank between, none before a comma."""
    text = " ".join(tokens)
    return text.replace(" ,", ",")
