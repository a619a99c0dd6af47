# perdure.bash - completion of verbs, options, services and checkpoints.

_perdure_services() {
    perdure "$@" status --json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d'"' -f4
}

_perdure_checkpoints() {
    perdure "$@" list --json 2>/dev/null | grep -o '"id":"[^"]*"' | cut -d'"' -f4
}

_perdure() {
    local verbs="run status start stop restart checkpoint list show diff verify drill pin unpin
        prune export import unpack key restore logs check reload shutdown version help"
    local global="--json --config-dir --state-dir --runtime-dir --help"
    local cur prev verb="" i words=() instance=()

    COMPREPLY=()
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --runtime-dir)
            instance=(--runtime-dir "${COMP_WORDS[i + 1]}")
            i=$((i + 1))
            ;;
        --config-dir | --state-dir) i=$((i + 1)) ;;
        -*) ;;
        *)
            verb=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    case $prev in
    --config-dir | --state-dir | --runtime-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --name)
        mapfile -t COMPREPLY < <(compgen -W "$(_perdure_services "${instance[@]}")" -- "$cur")
        return
        ;;
    --policy)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    esac
    case $verb in
    "") words=($verbs $global) ;;
    run)
        if [[ $cur == -* ]]; then
            words=(--policy --name --interval --resume -- $global)
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
            return
        fi
        ;;
    help) words=($verbs) ;;
    logs) words=($(_perdure_services "${instance[@]}") -n -f --lines --follow $global) ;;
    shutdown) words=(--leave-running $global) ;;
    show | diff | drill | pin | unpin)
        words=($(_perdure_checkpoints "${instance[@]}") $global)
        ;;
    prune) words=($(_perdure_services "${instance[@]}") --dry-run $global) ;;
    export | unpack)
        words=($(_perdure_checkpoints "${instance[@]}") $global)
        [ "$verb" = export ] && words+=(--force)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    import)
        words=(--name --trust $global)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    key) words=(rotate $global) ;;
    verify)
        words=($(_perdure_services "${instance[@]}") $(_perdure_checkpoints "${instance[@]}") --all
            $global)
        ;;
    restore)
        words=($(_perdure_services "${instance[@]}") $(_perdure_checkpoints "${instance[@]}") $global)
        ;;
    check)
        words=($(_perdure_services "${instance[@]}") $global)
        mapfile -t COMPREPLY < <(compgen -f -X '!*.ini' -- "$cur")
        ;;
    reload | version) words=($global) ;;
    *) words=($(_perdure_services "${instance[@]}") $global) ;;
    esac
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "${words[*]}" -- "$cur")
}

complete -F _perdure perdure
