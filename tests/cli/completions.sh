#!/bin/bash
# SPDX-License-Identifier: MIT
# Completions are made of the verbs' tables: tried in bash as readline calls them, in fish through its
# own `complete -C`, and in zsh on a terminal of its own.
. "$(dirname "$0")/../support/cli.bash"

for shell in bash zsh fish; do
    run completion $shell
    code_is 0
    err_empty
    cp out script.$shell
done
fails 2 "wanted bash, zsh or fish, got 'tcsh'" completion tcsh
fails 2 "bash, zsh or fish is missing" completion
fails 2 "a script has no JSON form" completion bash --json

# In an empty folder with two files.
mkdir place place/folder
: >place/photo.jpg
: >'place/with blank.jpg'
# offers WORDS...: what bash offers for the last of them, sorted, on one line
offers() {
    (cd place && bash -c '
        source ../script.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _tessera
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@" 2>&1) | sort | tr '\n' ' ' | sed 's/^ *//; s/ *$//'
}
offers_is() { # WANTED WORDS...
    local wanted=$1
    shift
    is "bash: $*" "$wanted" "$(offers "$@")"
}
offers_is "encode eval export" tessera e
offers_is "--help --version" tessera --
offers_is "crop" tessera encode photo.jpg --fit c
offers_is "auto crop pad stretch tile" tessera encode --fit ''
offers_is "auto crop pad stretch tile" tessera encode --fit =
offers_is "pad" tessera encode --fit = p
offers_is "--files-from" tessera encode --fil
offers_is "--guidance --guidance-mode" tessera encode photo.jpg --gui
offers_is "titok-s128" tessera encode -t titok-s1
offers_is "titok-s128" tessera sheet --model = titok-s1
offers_is "photo.jpg" tessera decode -t pho
offers_is "with blank.jpg" tessera decode -t with
offers_is "flextok-vae-c16 flextok-vae-c4 flextok-vae-c8" tessera fetch flextok-vae
offers_is "llamagen-vq16 llamagen-vq8" tessera model check llamagen
offers_is "train" tessera codebook t
offers_is "assign" tessera codebook a
offers_is "list list-tensors" tessera model l
offers_is "bf16" tessera model convert a b --dtype b
offers_is "fish" tessera completion f
offers_is "decode devices" tessera help de
offers_is "cpu" tessera encode --device c
offers_is "psnr=" tessera encode --target p
offers_is "" tessera encode -k ''
# Where files are wanted the list is empty and readline's own files follow.
offers_is "" tessera encode ph
offers_is "" tessera encode -o ''
grep -q '^complete -o bashdefault -o default -F _tessera tessera$' script.bash || complain "bash: files do not follow"

# Every verb, option and choice is offered.
flags_of() { "$TESSERA" "$@" --help | sed -n '/^\(Options\|Device\|General\):/,/^Exit codes:/s/^ \{2,6\}\(-[a-zA-Z0-9], \)\?\(--[a-z0-9-]*\).*/\2/p' | sort; }
verbs=$("$TESSERA" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
for verb in $verbs; do
    parts=$("$TESSERA" "$verb" --help | sed -n "/^Parts:/,/^\$/s/^  $verb \([a-z-]*\) .*/\1/p")
    for part in ${parts:-none}; do
        words="$verb"
        [ "$part" = none ] || words="$verb $part"
        wanted=$(flags_of $words | tr '\n' ' ' | sed 's/ *$//')
        offers_is "$wanted" tessera $words --
        for flag in $wanted; do
            grep -qE "__tessera_verb $words' -l ${flag#--}( |\$)" script.fish || complain "fish: $words $flag is missing"
            grep -qE -- "[{,'*]$flag(=|}|\[)" <(sed -n "/^    '$words')/,/;;/p" script.zsh) || complain "zsh: $words $flag is missing"
        done
    done
done
models=$("$TESSERA" fetch --list | cut -d' ' -f1 | sort | tr '\n' ' ' | sed 's/ *$//')
is "bash: every published model" "$models" "$(cd place && rm -r * && cd .. && offers tessera fetch '')"
mkdir -p place/folder && : >place/photo.jpg

if command -v fish >/dev/null; then
    fish_is() { # WANTED LINE
        is "fish: $2" "$1" "$(cd place && HOME=$here XDG_CONFIG_HOME=$here XDG_DATA_HOME=$here fish --no-config -c \
            "source ../script.fish; complete -C '$2'" 2>&1 | cut -f1 | sort | tr '\n' ' ' | sed 's/ *$//')"
    }
    fish_is "encode eval export" "tessera e"
    fish_is "auto crop pad stretch tile" "tessera encode --fit "
    fish_is "--guidance --guidance-mode" "tessera encode --gui"
    fish_is "titok-s128" "tessera encode -t titok-s1"
    fish_is "photo.jpg" "tessera encode ph"
    fish_is "assign stats train" "tessera codebook "
    fish_is "--codebook" "tessera codebook stats --codeb"
    fish_is "" "tessera encode -k "
else
    leave_out "no fish to try its completion in"
fi
if command -v zsh >/dev/null; then
    zsh -n script.zsh || complain "zsh: the script is none"
    cp script.zsh place/_tessera
    cat >drive.zsh <<'ZSH'
# Types into a shell on a terminal of its own and prints what stands there after a tab.
zmodload zsh/zpty
cd place
zpty -b shell 'zsh -f -i'
send() { zpty -w shell "$1" }
# Until `marker` is there, at most so many tenths of a second.
await() { local text='' piece i; for i in {1..600}; do while zpty -r -t shell piece; do text+=$piece; done; [[ $text == *$1* ]] && break; sleep 0.1; done; print -r -- "$text" }
send 'PS1="> "; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -d ./dump; zstyle ":completion:*" list-prompt ""; tessera() { print -r -- "GOT:$*:END" }; print REA""DY'
await READY >/dev/null
for line in "$@"; do
    send "$line"$'\t'
    await ':END' | tr -d '\r' | grep -a -o 'GOT:[^:]*:END' | head -1
done
zpty -d shell
ZSH
    last="completions in zsh"
    zsh -f drive.zsh 'tessera enc' 'tessera encode --fit cr' 'tessera encode -t titok-s1' 'tessera codebook tr' \
        'tessera encode pho' 'tessera fetch one-d-piece-s' >out 2>err
    is "zsh" "GOT:encode:END GOT:encode --fit crop:END GOT:encode -t titok-s128:END GOT:codebook train:END GOT:encode photo.jpg:END GOT:fetch one-d-piece-s256:END" \
        "$(tr '\n' ' ' <out | sed 's/ *$//')"
else
    leave_out "no zsh to try its completion in"
fi
finish
