#!/bin/sh
# OpenSSH with one multiplexed connection a host, all hosts at once: one tar stream with the wheels that the host lacks,
# one call of the installer.      deploy.sh pip | uv | uv-compiled
set -eu

arguments="--quiet --no-index --no-deps --find-links $BENCH_HOME/wheels $(grep == "$BENCH_REQUIREMENTS" | tr '\n' ' ')"
case $1 in
    pip) install="$BENCH_VIRTUALENVS/bin/pip install $arguments" ;;
    uv) install="$BENCH_HOME/bin/uv pip install --python $BENCH_VIRTUALENVS $arguments" ;;
    uv-compiled) install="$BENCH_HOME/bin/uv pip install --python $BENCH_VIRTUALENVS --compile-bytecode $arguments" ;;
esac

remote() {
    ssh -F "$BENCH_SSH_CONFIG" -o ControlMaster=auto -o ControlPersist=60 -o ControlPath="$HOME/.ssh/%n" "$@"
}

deploy() {
    there=$(remote "$1" "mkdir -p $BENCH_HOME/wheels && ls $BENCH_HOME/wheels")
    lacking=
    for wheel in *.whl; do
        case $there in *"$wheel"*) ;; *) lacking="$lacking $wheel" ;; esac
    done
    # shellcheck disable=SC2086
    test -z "$lacking" || tar -c $lacking | remote "$1" "tar -x -C $BENCH_HOME/wheels"
    remote "$1" "$install" </dev/null
}

cd "$BENCH_WHEELS"
for host in $BENCH_HOSTS; do
    deploy "$host" &
    running="${running:-} $!"
done
for one in $running; do
    wait "$one" || failed=1
done
exit "${failed:-0}"
