"""Fish: the grammar of the command as a completion script for the fish shell."""

from collections.abc import Mapping

from pyrovae.cli.grammar import Grammar, Key, Words, alike

_LOOKUP = r"""
# Print the words; what the shell finds by itself begins with @. The first one stands before each.
function __pyrovae_found
    set -l before $argv[1]
    set -l word $argv[2]
    for found in $argv[3..-1]
        switch $found
            case @files
                string replace --regex '^' -- "$before" (__fish_complete_path "$word")
            case @folders
                string replace --regex '^' -- "$before" (__fish_complete_directories "$word" '')
            case @runs
                set -l runs
                for folder in runs/*/
                    set folder (string trim --right --chars=/ -- $folder)
                    test -f $folder/config.yaml -o -d $folder/model; or continue
                    string match --quiet -- "$word*" $folder; and set --append runs $before$folder
                end
                if test (count $runs) -eq 0
                    __pyrovae_found "$before" "$word" @folders
                else
                    printf '%s\n' $runs
                end
            case '*'
                printf '%s\n' $before$found
        end
    end
end

# Print the class that is chosen at a path: of a verb, by pairs path=class, the last one counts.
function __pyrovae_class
    set -l verb $argv[1]
    set -l path $argv[2]
    set -l class
    if not string match --quiet -- 'config=*' $argv[3..-1]
        and not string match --quiet -- 'resume=*' $argv[3..-1]
        set class (__pyrovae_chosen $verb $path)
    end
    for pair in $argv[3..-1]
        string match --quiet -- "$path=*" $pair; and set class (string split --max 1 = -- $pair)[2]
    end
    set -l parts (string split . -- "$class")
    echo $parts[-1]
end

# Print the flags that go on from a word: those of its level, and where there is one alone, those
# of the next level as well. Dashes within a flag mean the same as underscores.
function __pyrovae_flags
    set -l verb $argv[1]
    set -l typed $argv[2]
    set -l given $argv[3..-1]
    set -l name (string replace --all - _ -- (string replace --regex '^--?' '' -- "$typed"))
    set -l parent (string replace --regex '\.?[^.]*$' '' -- "$name")
    set -l found
    for class in (__pyrovae_class $verb "$parent" $given) ''
        for word in (__pyrovae_below $verb "$parent" "$class")
            test -n "$parent"; and set word $parent.$word
            string match --quiet -- "$name*" $word; and set --append found $word
        end
        test (count $found) -gt 0; and break
    end
    if test (count $found) -eq 1
        for word in (__pyrovae_below $verb $found (__pyrovae_class $verb $found $given))
            set --append found $found[1].$word
        end
    end
    if string match --quiet --regex -- '^--.*-' $typed
        set found (string replace --all _ - -- $found)
    end
    test (count $found) -gt 0; and printf '%s\n' --$found
end

function __pyrovae_candidates
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l verb
    set -l flag
    set -l first
    set -l given
    for next in $words[2..-1]
        string match --quiet -- '--*' $next; and set flag  # some flags do without their value
        if test -z "$verb"
            set verb $next
        else if test -n "$flag"
            set --append given $flag=$next
            set flag
        else if string match --quiet -- '--*=*' $next
            set -l parts (string split --max 1 = -- (string replace -- -- '' $next))
            set --append given (string replace --all - _ -- $parts[1])=$parts[2]
        else if string match --quiet -- '--*' $next
            set flag (string replace --all - _ -- (string replace -- -- '' $next))
            __pyrovae_switch $verb $flag >/dev/null; and set flag
        else if not string match --quiet -- '-*' $next
            set first $next
        end
    end
    string match --quiet -- '--*' $word; and set flag
    if test -z "$verb"; or test "$verb" = help -a -z "$first"
        __pyrovae_found '' "$word" (__pyrovae_verbs)
    else if test -n "$flag"
        __pyrovae_found '' "$word" (__pyrovae_values $verb $flag)
    else if string match --quiet -- '--*=*' $word
        set -l parts (string split --max 1 = -- $word)
        set flag (string replace --all - _ -- (string replace -- -- '' $parts[1]))
        __pyrovae_found $parts[1]= "$parts[2]" (__pyrovae_values $verb $flag)
    else if string match --quiet -- '-*' $word
        __pyrovae_flags $verb $word $given
    else if test -z "$first"; and __pyrovae_first $verb >/dev/null
        __pyrovae_found '' "$word" (__pyrovae_first $verb)
    else if test -z "$word"
        __pyrovae_flags $verb -- $given
    end
end

complete --command pyrovae --no-files --arguments '(__pyrovae_candidates)'
"""


def fish_script(grammar: Grammar) -> str:
    """Return the completion script for fish.

    Arguments:
        grammar: what may follow what.
    """
    switches: dict[Key, Words] = {
        (verb, name): ["yes"] for verb, names in grammar.switches.items() for name in names
    }
    all_classes = 'test -n "$argv[3]"; and __pyrovae_below $argv[1] "$argv[2]" ""'
    return "".join(
        (
            "# fish completion, made by `pyrovae completion fish`\n",
            _table("verbs", {(): ["help", *grammar.verbs]}),
            _table("first", {(verb,): words for verb, words in grammar.first.items()}),
            _table("values", grammar.values),
            _table("chosen", {key: [name] for key, name in grammar.chosen.items()}),
            _table("below", grammar.below, other=all_classes),
            _table("switch", switches),
            _LOOKUP,
        )
    )


def _table(name: str, entries: Mapping[Key, Words], *, other: str = "return 1") -> str:
    """Return a function that prints the words which stand under its arguments.

    Arguments:
        name: what it is called, behind `__pyrovae_`.
        entries: the words by the arguments.
        other: what to do for other arguments.
    """
    lines = [
        f"        case {' '.join(_quoted(' '.join(key)) for key in keys)}\n"
        f"            printf '%s\\n' {' '.join(map(_quoted, words))}"
        for words, keys in alike(entries).items()
    ]
    body = "\n".join([*lines, f"        case '*'\n            {other}"])
    return f'\nfunction __pyrovae_{name}\n    switch "$argv"\n{body}\n    end\nend\n'


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"
