"""``python build.py completion``: shell completion of commands and options."""

from __future__ import annotations

from typing import Final

import click

_BASH: Final = r"""# Completion of `python build.py` in bash.
_build_py_completion() {
    local IFS=$'\n' line kind value
    local -a words=("${COMP_WORDS[@]}") program=("${COMP_WORDS[0]}")
    local number=$COMP_CWORD
    COMPREPLY=()
    if [[ ${words[0]##*/} == python* ]]; then
        [[ ${words[1]##*/} == build.py && $number -gt 1 ]] || return 0
        program+=("${words[1]}")
        words=("${words[@]:1}")
        number=$((number - 1))
    fi
    while IFS= read -r line; do
        kind=${line%%,*} value=${line#*,}
        case $kind in
            dir) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$value") ;;
            file) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="${words[*]}" COMP_CWORD=$number _BUILD_PY_COMPLETE=bash_complete \
        "${program[@]}" 2>/dev/null)
    return 0
}
complete -o default -o bashdefault -F _build_py_completion python python3
"""

_ZSH: Final = r"""# Completion of `python build.py` in zsh.
_build_py_completion() {
    local -a program plain described response
    local kind key text
    program=($words[1])
    if [[ ${words[1]:t} == python* ]]; then
        if [[ ${words[2]:t} != build.py || $CURRENT -lt 3 ]]; then
            _default
            return
        fi
        program+=($words[2])
        shift words
        (( CURRENT-- ))
    fi
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) \
        _BUILD_PY_COMPLETE=zsh_complete "${program[@]}" 2>/dev/null)}")
    for kind key text in ${response}; do
        case $kind in
            plain)
                if [[ $text == _ ]]; then plain+=("$key"); else described+=("$key:$text"); fi ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    [[ -n $described ]] && _describe -V unsorted described -U
    [[ -n $plain ]] && compadd -U -V unsorted -a plain
}
compdef _build_py_completion python python3
"""

_FISH: Final = r"""# Completion of `python build.py` in fish.
function _build_py_completion
    set -l words (commandline -opc)
    set -l program $words[1]
    if string match -q '*python*' -- $words[1]
        set program $words[1] $words[2]
        set -e words[1]
    end
    for line in (env _BUILD_PY_COMPLETE=fish_complete COMP_WORDS="$words" \
            COMP_CWORD=(commandline -t) $program 2>/dev/null)
        set -l parts (string split ',' -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
function _build_py_is_meant
    string match -q '*build.py' -- (commandline -opc)[2]
end
for python in python python3
    complete --no-files --command $python --condition _build_py_is_meant \
        --arguments '(_build_py_completion)'
end
"""

_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command(
    epilog="""\b
source <(python build.py completion bash)    for this shell
python build.py completion bash >> ~/.bashrc
"""
)
@click.argument("shell", type=click.Choice(tuple(_SCRIPTS)))
def command(shell: str) -> None:
    """Print a script that completes commands and options in SHELL.

    It completes `python build.py`, whatever the path of either; elsewhere python gets file names.
    """
    click.echo(_SCRIPTS[shell], nl=False)
