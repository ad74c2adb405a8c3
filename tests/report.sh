#!/bin/sh
# report.html and args.json: after a training, after a signal, written anew: a whole page that loads
# nothing, in which hostile names are only text, with the numbers that `evaluate` prints.
# Environment: as suite.sh says.
# shellcheck disable=SC2086,SC2317,SC2016 # lists of options; functions that are called by name
set -u
suite=report
. "$(dirname "$0")/suite.sh"
export LC_ALL=C

# ---- Programs, pictures --------------------------------------------------------------------------

# model NAME UNITS: two phases on a small network.
model() {
    cat >"$1.json" <<END
{"name": "$1", "input": {"shape": [32, 32, 3]}, "layers": [
  {"type": "Rescaling", "scale": 0.00392156862745098},
  {"type": "Conv2D", "filters": 8, "kernel_size": 3, "activation": "relu", "name": "conv1"},
  {"type": "MaxPooling2D"}, {"type": "Flatten"},
  {"type": "Dense", "units": $2, "activation": "softmax", "name": "out"}],
 "phases": [
  {"name": "head", "freeze": ["conv*"], "optimizer": "rmsprop",
   "loss": "categorical_crossentropy", "metrics": ["accuracy"], "epochs": 2, "batch_size": 20},
  {"name": "all", "optimizer": "adam", "loss": "categorical_crossentropy",
   "metrics": ["accuracy"], "epochs": 2, "batch_size": 20}]}
END
}

# Two of the classes, and the pictures of the third, have names that would be markup; one of them is not
# in UTF-8.
hostile=$(printf '<b>&"x\377')
draw_hostile() {
    draw_pictures 90 5 12 || return 1
    for side in train validation; do
        mv "data/$side/1" "data/$side/$hostile"
        mv "data/$side/2" "data/$side/'--><script>alert(1)<"
        for picture in "data/$side/0"/*; do
            mv "$picture" "${picture%/*}/$(printf '\377')<img src=x onerror=y>${picture##*/}"
        done
    done
}

# The classes are copies of one folder: none can be told from another.
make_many() {
    for i in $(seq 100 123); do
        mkdir -p "many/class_$i"
        cp data/train/0/*000*.jpg data/train/0/*001*.jpg "many/class_$i/"
    done
}

model small 3
model many_classes 24
ok compile_small compile small
ok compile_many compile many_classes
ok compile_page $cc "$root/tests/page.c" -o page
ok draw_pictures draw_hostile
ok make_many make_many

# ---- After a training ----------------------------------------------------------------------------

# page_matches NAME PAGE EVALUATED: the matrix and the table of classes say what `evaluate` printed.
# Its rows are: class, pictures, right, recall.
page_matches() {
    ./page table matrix "$2" >matrix.txt
    ./page table "numbers classes" "$2" >classes.txt
    awk '/^class / { on = 1; next } on { print }' "$3" >evaluated.txt
    problem=$(awk -F'\t' '
        FILENAME == "evaluated.txt" {
            n = split($0, part, " +")
            pictures[++count] = part[n - 2]; right[count] = part[n - 1]; recall[count] = part[n]
            next
        }
        FNR == 1 { row = 0; next }
        $1 == "" || $1 ~ /^mean/ { next }
        FILENAME == "matrix.txt" {
            row++
            sum = 0
            for (i = 2; i <= count + 1; i++) sum += $i
            if (sum != pictures[row]) print "row " row " sums to " sum ", not " pictures[row]
            if ($(row + 1) != right[row]) print "row " row ": " $(row + 1) " right, not " right[row]
            rows = row
        }
        FILENAME == "classes.txt" {
            row++
            if ($3 != recall[row] || $5 != pictures[row]) print "class " row ": " $3 ", " $5
            found = row
        }
        END { if (count == 0 || rows != count || found != count) print rows " rows, " found }
    ' evaluated.txt matrix.txt classes.txt)
    if [ -z "$problem" ]; then echo "ok report/$1"; else fail "$1" "$problem"; fi
}

ok train ./small train --data data --out run --seed 3
shows says_where out 'report: run/report.html'
ok well_formed ./page check run/report.html
ok evaluate ./small evaluate --data data/validation --weights run/best.safetensors
cp out evaluated
page_matches numbers run/report.html evaluated
shows escaped run/report.html '&lt;b&gt;&amp;&quot;x' '&lt;script&gt;alert(1)&lt;' \
    '&lt;img src=x onerror=y&gt;'
shows phases run/report.html '<title>phase head</title>' '<title>phase all</title>' 'best weights'
shows hashes run/report.html "$(md5sum <run/best.safetensors | cut -d' ' -f1)" \
    "$(sed -n 's/^ \* Graph \([0-9a-f]*\)\./\1/p' small.c)"
shows plan run/report.html 'Memory plan of train_head' 'Memory plan of train_all'
shows arguments run/args.json '"arguments": ["train", "--data", "data"' '"seed": 3' '"cpu": ' \
    '"seconds": ' '"signal": 0'
accuracy=$(sed -n 's/^accuracy: //p' evaluated)
shows accuracy run/report.html "<span>accuracy</span><b>$accuracy</b>"
if [ "$(grep -o 'data:image/jpeg' run/report.html | wc -l)" = 24 ]; then
    echo "ok report/thumbnails"
else
    fail thumbnails "$(grep -o 'data:image/jpeg' run/report.html | wc -l), not 24"
fi
if [ "$(wc -c <run/report.html)" -lt 1000000 ]; then
    echo "ok report/size"
else
    fail size "$(wc -c <run/report.html) bytes"
fi

# A training that is complete changes nothing.
cp run/report.html first.html
seconds=$(grep '"seconds"' run/args.json)
ok complete ./small train --data data --out run --seed 3
ok complete_leaves_the_page cmp first.html run/report.html
shows complete_keeps_what_it_took run/args.json "${seconds%.*}"

# ---- Written anew --------------------------------------------------------------------------------

ok again ./small report --data data --out run
ok again_well_formed ./page check run/report.html
page_matches again_numbers run/report.html evaluated
ok again_by_itself ./small report --out run
page_matches again_by_itself_numbers run/report.html evaluated
ok of_a_folder ./small report --data data/validation --out run
page_matches of_a_folder_numbers run/report.html evaluated

ok split ./small train --data data/train --validation-split 0.25 --seed 18446744073709551615 \
    --epochs 1 --out split
./page table matrix split/report.html >split_matrix.txt
ok split_again ./small report --out split
./page table matrix split/report.html >split_again.txt
ok the_same_split cmp split_matrix.txt split_again.txt

ok many ./many_classes train --data many --epochs 1 --out many_run
ok many_well_formed ./page check many_run/report.html
shows many_pairs many_run/report.html '24 classes: the 2' 'the worst first' \
    'There is no validation side'

# ---- With what there is --------------------------------------------------------------------------

if ./small report --out nowhere >out 2>err || [ $? -ne 5 ]; then
    fail no_run "$(tail -n 1 err)"
else
    echo "ok report/no_run"
fi

mkdir damaged
cp run/best.safetensors damaged/
echo '{"program": "<i>", "arguments": [1, "a b<"], "data": [], "run": {"seconds": "x"},' \
    '"machine": {"<k>_bytes": 1e300}, "versions": "no"}' >damaged/args.json
printf 'epoch,phase,<b>,loss\r\n0,"><i>,3,inf\r\n1,q,nan,-4\r\n2,q,1e308,1e-300\r\n' \
    >damaged/history.csv
ok damaged ./small report --data data --out damaged
ok damaged_well_formed ./page check damaged/report.html
head -c 2000 run/best.safetensors | tee damaged/args.json >damaged/history.csv
ok not_even_text ./small report --data data --out damaged
ok not_even_text_well_formed ./page check damaged/report.html

interrupt() {
    ./small train --data data --epochs 100000 --out stopped --quiet >out 2>err &
    pid=$!
    for _ in $(seq 100); do
        [ ! -f stopped/last.safetensors ] || break
        sleep 0.1
    done
    kill -TERM $pid
    wait $pid
    [ $? = 143 ]
}
ok signal interrupt
ok signal_well_formed ./page check stopped/report.html
shows signal_said stopped/report.html 'The training was stopped by a signal' 'id="curves"' \
    'id="memory"' '<code>./small report --out stopped</code>'
ok signal_again ./small report --out stopped
shows signal_classes stopped/report.html 'class="matrix' 'The training was stopped by a signal'

cp -r data bad
head -c 200 bad/train/0/*0000.jpg >bad/train/0/cut.jpg
ok unreadable ./small train --data bad --epochs 1 --out bad_run
shows unreadable_audited bad_run/report.html 'error: '
shows unreadable_named bad_run/report.html '1 picture could not be read' 'cut.jpg</code>: broken'
ok unreadable_well_formed ./page check bad_run/report.html
ok no_temporary_files sh -c 'test -z "$(find . -name "*.tmp*")"'
exit $failed
