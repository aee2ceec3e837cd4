"""The verb `completion`."""

from collections.abc import Sequence

from pyrovae.cli.arguments import Parser

SHELLS = ("bash", "zsh", "fish")

_WHERE = """\
Keep the script in a file, which the shell reads when it starts; it holds every word by itself, so
that completing never starts Python. Print it anew after an upgrade of pyrovae.

  bash  pyrovae completion bash > ~/.pyrovae.bash
        and in ~/.bashrc:  source ~/.pyrovae.bash
  zsh   mkdir -p ~/.zfunc; pyrovae completion zsh > ~/.zfunc/_pyrovae
        and in ~/.zshrc:  fpath+=(~/.zfunc); autoload -U compinit; compinit
  fish  pyrovae completion fish > ~/.config/fish/completions/pyrovae.fish"""


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "completion",
        "Print a script by which a shell completes verbs, flags, classes, runs and files.",
        example="pyrovae completion bash > ~/.pyrovae.bash",
        more=_WHERE,
    )
    made.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    return made


def run(words: Sequence[str]) -> int:
    """Print the script for a shell."""
    given = parser().read(words)
    if given is None:
        return 0
    from pyrovae.cli.grammar import grammar
    from pyrovae.cli.shells import script
    from pyrovae.cli.verbs import VERBS

    print(script(given.shell, grammar(VERBS)), end="")
    return 0
