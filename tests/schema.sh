#!/bin/sh
# The published JSON Schema and the attribute tables of docs/model-format.md must be what tlc prints,
# every attribute must be documented, and the schema must take every example.
# "tests/schema.sh --record" brings both files up to date.
set -u
cd "$(dirname "$0")/.." || exit 1
tlc=${BUILD:-build}/tlc
schema=docs/model.schema.json
format=docs/model-format.md
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

report() { # NAME STATUS WHY
    if [ "$2" -eq 0 ]; then
        echo "ok schema/$1"
    else
        echo "FAIL schema/$1: $3"
        failed=1
    fi
}

"$tlc" schema >"$scratch/schema" && "$tlc" format-tables >"$scratch/tables" || exit 1
awk -v tables="$scratch/tables" '
    /<!-- end tlc format-tables -->/ { skip = 0 }
    !skip { print }
    /<!-- begin tlc format-tables -->/ {
        print ""
        while ((getline line < tables) > 0) print line
        skip = 1
    }' "$format" >"$scratch/format"

if [ "${1:-}" = --record ]; then
    cp "$scratch/schema" "$schema"
    cp "$scratch/format" "$format"
fi

diff "$schema" "$scratch/schema"
report published $? "$schema is not what tlc prints; tests/schema.sh --record"
diff "$format" "$scratch/format"
report tables $? "$format is not what tlc prints; tests/schema.sh --record"
grep -nE '\| *\|$' "$scratch/tables"
report documented $((! $?)) "an attribute has no meaning"

if python3 -c 'import jsonschema' 2>/dev/null; then
    for model in examples/*/model.json; do
        python3 - "$schema" "$model" <<'PYTHON'
import json, sys, jsonschema
schema, model = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(model)
PYTHON
        report "$model" $? "the schema refuses it"
    done
else
    echo "skip schema/examples: Python's jsonschema is not installed"
fi
exit $failed
