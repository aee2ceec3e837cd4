"""Shells: the grammar of the command as completion scripts for bash, zsh and fish.

A script is tables, of which words may follow which, and the functions that look them up. bash and
zsh share both: these functions keep to what the two have in common.
"""

from collections.abc import Mapping
from shlex import quote

from pyrovae.cli.fish import fish_script
from pyrovae.cli.grammar import Grammar, Key, Words, alike

_LOOKUP = r"""
# Print the words that begin with the first one. What a shell finds by itself begins with @.
_pyrovae_matching() {
    local prefix=$1 word folder found=
    shift
    for word in "$@"; do
        case $word in
            @runs)
                for folder in runs/*/; do
                    folder=${folder%/}
                    [ -f "$folder/config.yaml" ] || [ -d "$folder/model" ] || continue
                    case $folder in "$prefix"*) found=yes; printf '%s\n' "$folder" ;; esac
                done
                [ -n "$found" ] || printf '%s\n' @folders
                ;;
            @*) printf '%s\n' "$word" ;;
            "$prefix"*) printf '%s\n' "$word" ;;
        esac
    done
}

# Print the class that is chosen at a path, by the words so far or where there are none.
_pyrovae_class() {
    local pair class=
    [ -n "$settled" ] || class=$(_pyrovae_chosen "$verb" "$1")
    for pair in $given; do
        case $pair in "$1="*) class=${pair#*=} ;; esac
    done
    printf '%s\n' "${class##*.}"
}

# Print the flags that go on from a word: those of its level, and where there is one alone, those
# of the next level as well. Dashes within a flag mean the same as underscores.
_pyrovae_flags() {
    local name=${1#-} parent= word rest class found=
    name=${name#-}
    local typed=--$name
    name=${name//-/_}
    case $name in *.*) parent=${name%.*} ;; esac
    for class in "$(_pyrovae_class "$parent")" ""; do
        for word in $(_pyrovae_below "$verb" "$parent" "$class"); do
            word=${parent:+$parent.}$word
            case $word in "$name"*) found="$found $word" ;; esac
        done
        [ -z "$found" ] || break
    done
    set -- $found
    if [ $# -eq 1 ]; then
        for word in $(_pyrovae_below "$verb" "$1" "$(_pyrovae_class "$1")"); do
            found="$found $1.$word"
        done
    fi
    for word in $found; do
        rest=${word#"$name"}
        case $typed in --*-*) rest=${rest//_/-} ;; esac
        printf '%s\n' "$typed$rest"
    done
}

# Print what can stand for the last word, behind those before it.
_pyrovae_candidates() {
    [ -z "${ZSH_VERSION-}" ] || emulate -L sh
    local IFS=$' \t\n' verb= flag= first= given= settled= word name
    while [ $# -gt 1 ]; do
        word=$1
        shift
        case $word in --*) flag= ;; esac  # some flags do without their value
        if [ -z "$verb" ]; then
            verb=$word
            continue
        elif [ -n "$flag" ]; then
            name=$flag flag=
        else
            case $word in
                --*=*) name=${word%%=*} name=${name#--} word=${word#*=} ;;
                --*)
                    name=${word#--} name=${name//-/_}
                    _pyrovae_switch "$verb" "$name" || flag=$name
                    continue
                    ;;
                -*) continue ;;
                *) first=$word; continue ;;
            esac
        fi
        name=${name//-/_}
        case $name in config | resume) settled=yes ;; esac
        given="$given $name=$word"
    done
    word=$1
    case $word in --*) flag= ;; esac
    if [ -z "$verb" ] || { [ "$verb" = help ] && [ -z "$first" ]; }; then
        _pyrovae_matching "$word" $(_pyrovae_verbs)
    elif [ -n "$flag" ]; then
        _pyrovae_matching "$word" $(_pyrovae_values "$verb" "$flag")
    else
        case $word in
            --*=*)
                name=${word%%=*} name=${name#--}
                _pyrovae_matching "${word#*=}" $(_pyrovae_values "$verb" "${name//-/_}")
                ;;
            -*) _pyrovae_flags "$word" ;;
            *)
                [ -n "$first" ] || set -- $(_pyrovae_first "$verb")
                if [ -z "$first" ] && [ $# -gt 0 ]; then
                    _pyrovae_matching "$word" "$@"
                elif [ -z "$word" ]; then
                    _pyrovae_flags ""
                fi
                ;;
        esac
    fi
}
"""

_BASH = r"""
_pyrovae() {
    local words=() word=${COMP_WORDS[COMP_CWORD]} before= line i
    for ((i = 1; i < COMP_CWORD; i++)); do  # readline makes three words of --flag=value
        [ "${COMP_WORDS[i]}" = "=" ] || words+=("${COMP_WORDS[i]}")
    done
    [ "$word" != "=" ] || word=
    case $word in --*=*) before=${word%%=*}= ;; esac
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            @files) _pyrovae_places -f "$before" "${word#"$before"}" ;;
            @folders) _pyrovae_places -d "$before" "${word#"$before"}" ;;
            *) printf -v line %q "$line" && COMPREPLY+=("$before$line") ;;
        esac
    done < <(_pyrovae_candidates ${words[@]+"${words[@]}"} "$word")
}

_pyrovae_places() {
    local line
    while IFS= read -r line; do COMPREPLY+=("$2$line"); done < <(compgen "$1" -- "$3")
    compopt -o filenames 2>/dev/null  # a slash behind a folder; bash 3 has no compopt
}

complete -F _pyrovae pyrovae
"""

_ZSH = r"""
_pyrovae() {
    local -a found
    local line files= folders=
    for line in "${(@f)$(_pyrovae_candidates "${(@)words[2,CURRENT-1]}" "$PREFIX")}"; do
        case $line in
            (@files) files=yes ;;
            (@folders) folders=yes ;;
            (?*) found+=("$line") ;;
        esac
    done
    [[ $PREFIX != --*=* ]] || compset -P '*='
    (( ! $#found )) || compadd -a -- found
    [[ -z $files ]] || _files
    [[ -z $folders ]] || _files -/
}

if [ "${funcstack[1]}" = _pyrovae ]; then  # found in fpath, and run at once
    _pyrovae "$@"
else
    compdef _pyrovae pyrovae
fi
"""


def script(shell: str, grammar: Grammar) -> str:
    """Return the completion script for a shell.

    Arguments:
        shell: "bash", "zsh" or "fish".
        grammar: what may follow what.
    """
    if shell == "fish":
        return fish_script(grammar)
    first, last = ("#compdef pyrovae\n", _ZSH) if shell == "zsh" else ("", _BASH)
    made = f"# {shell} completion, made by `pyrovae completion {shell}`\n"
    return first + made + _tables(grammar) + _LOOKUP + last


def _tables(grammar: Grammar) -> str:
    """Return the grammar as functions that print words, for bash and zsh."""
    return "".join(
        (
            "\n_pyrovae_verbs() { printf '%s\\n' help "
            + f"{' '.join(map(quote, grammar.verbs))}; }}\n",
            _table("first", {(verb,): words for verb, words in grammar.first.items()}),
            _table("values", grammar.values),
            _table("chosen", {key: [name] for key, name in grammar.chosen.items()}),
            _table("below", grammar.below, other='[ -z "$3" ] || _pyrovae_below "$1" "$2" ""'),
            "\n# Tell whether a flag takes no value.\n",
            '_pyrovae_switch() {\n    case "$*" in\n',
            *(
                f"        {' | '.join(quote(f'{verb} {name}') for name in names)}) return 0 ;;\n"
                for verb, names in grammar.switches.items()
            ),
            "    esac\n    return 1\n}\n",
        )
    )


def _table(name: str, entries: Mapping[Key, Words], *, other: str = "") -> str:
    """Return a function that prints the words which stand under its arguments.

    Arguments:
        name: what it is called, behind `_pyrovae_`.
        entries: the words by the arguments.
        other: what to do for other arguments.
    """
    lines = [
        f"        {' | '.join(quote(' '.join(key)) for key in keys)}) "
        f"printf '%s\\n' {' '.join(map(quote, words))} ;;"
        for words, keys in alike(entries).items()
    ]
    if other:
        lines.append(f"        *) {other} ;;")
    body = "\n".join(lines)
    return f'\n_pyrovae_{name}() {{\n    case "$*" in\n{body}\n    esac\n}}\n'
