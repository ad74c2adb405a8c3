/* report_style.c: how the page looks: on a wide screen, on a phone, in the dark, on paper. Every
 * text has a contrast of at least 4.5 to what is behind it (WCAG 2.1, AA). */
#include "report.h"

#define LIGHT_SHADES                                                                               \
    ".h0{color:var(--muted)}.h1{background:#eef3f8;color:#000}.h2{background:#d2deee;color:#000}"  \
    ".h3{background:#b5c9e3;color:#000}.h4{background:#99b5d8;color:#000}"                         \
    ".h5{background:#7da0cd;color:#000}.h6{background:#618cc2;color:#000}"                         \
    ".h7{background:#4477b8;color:#fff}.h8{background:#2863ad;color:#fff}"                         \
    ".h9{background:#0c4ea2;color:#fff}\n"

#define DARK_SHADES                                                                                \
    ".h1{background:#161f29;color:#fff}.h2{background:#233344;color:#fff}"                         \
    ".h3{background:#2f465f;color:#fff}.h4{background:#3b5979;color:#fff}"                         \
    ".h5{background:#476c94;color:#fff}.h6{background:#537faf;color:#000}"                         \
    ".h7{background:#6092ca;color:#000}.h8{background:#6ca5e4;color:#000}"                         \
    ".h9{background:#78b8ff;color:#000}\n"

const char *const rt_report_style[] = {
    ":root{--page:#fff;--text:#1a1d21;--muted:#57606a;--line:#d0d7de;--soft:#f4f6f8;"
    "--band0:#f4f6f8;--band1:#e9eef5;--training:#0b5fc5;--validation:#b45309;--right:#1a7f37;"
    "--wrong:#c4232b;--warn:#7a4a00;--warn-page:#fff6e0;"
    "--t0:#bcd7f5;--t1:#ffd9a8;--t2:#c9e7c3;--t3:#e6cdf0;--t4:#f7c9c9;--t5:#cfe8e8}\n",
    "@media (prefers-color-scheme:dark){:root{--page:#0f1419;--text:#e6e9ec;--muted:#9aa4ae;"
    "--line:#3a444f;--soft:#1a2129;--band0:#1a2129;--band1:#242d38;--training:#6cb2ff;"
    "--validation:#ffb454;--right:#4ac26b;--wrong:#ff7b72;--warn:#ffd58a;--warn-page:#332810;"
    "--t0:#2b4a6e;--t1:#6b4a1f;--t2:#2f5a37;--t3:#553a66;--t4:#6b3434;--t5:#2b5a5c}}\n",

    /* ---- Text ---- */
    "*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}\n",
    "body{margin:0 auto;max-width:1120px;padding:24px 20px 40px;background:var(--page);"
    "color:var(--text);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',"
    "Arial,sans-serif;overflow-wrap:break-word}\n",
    "h1{font-size:30px;line-height:1.2;margin:0 0 8px}\n",
    "h2{font-size:22px;margin:44px 0 12px;padding-top:14px;border-top:1px solid var(--line)}\n",
    "h3{font-size:17px;margin:26px 0 8px}p{margin:0 0 12px}\n",
    "a{color:var(--training)}nav a{display:inline-block;margin:0 14px 4px 0;padding:4px 0}\n",
    "small,footer{color:var(--muted);font-size:13px}footer{margin-top:44px}\n",
    "code{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace;"
    "overflow-wrap:anywhere}\n",
    "ul{padding:0 0 0 20px;margin:0 0 12px}summary{cursor:pointer;padding:6px 0;"
    "color:var(--training)}\n",
    ":focus-visible{outline:2px solid var(--training);outline-offset:2px}\n",
    ".verdict{font-size:19px}.warn{background:var(--warn-page);color:var(--warn);padding:8px 12px;"
    "border-radius:6px}\n",

    /* ---- Cards of numbers ---- */
    ".cards{list-style:none;display:grid;gap:10px;padding:0;margin:16px 0 18px;"
    "grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}\n",
    ".cards li{min-width:0;overflow-wrap:anywhere;border:1px solid "
    "var(--line);border-radius:8px;padding:10px 12px;display:flex;"
    "flex-direction:column}.cards span{color:var(--muted);font-size:14px}\n",
    ".cards b{font-size:24px;line-height:1.3;font-weight:600}\n",

    /* ---- Charts ---- */
    ".legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:14px}.legend svg{width:26px;"
    "height:12px;vertical-align:-1px}\n",
    ".charts{display:grid;gap:18px 24px;grid-template-columns:repeat(auto-fit,"
    "minmax(min(100%,420px),1fr))}.chart{margin:0;max-width:640px}\n",
    ".chart figcaption{font-weight:600;margin-bottom:2px}.chart svg{width:100%;height:auto;"
    "display:block}\n",
    "svg text{font-size:12px;fill:var(--muted)}svg .y{text-anchor:end}"
    "svg .x,svg .phase,svg .name{text-anchor:middle}svg .name{font-size:10px;fill:var(--text)}\n",
    ".band0{fill:var(--band0)}.band1{fill:var(--band1)}.grid{stroke:var(--line);fill:none}\n",
    "path.training,path.validation{fill:none;stroke-width:2;stroke-linejoin:round}\n",
    "path.training{stroke:var(--training)}path.validation{stroke:var(--validation)}"
    "circle.training{fill:var(--page);stroke:var(--training);stroke-width:1.5}"
    "rect.validation{fill:var(--validation)}\n",
    "path.best{stroke:var(--right);stroke-width:1.5;stroke-dasharray:4 3;fill:none}\n",

    /* ---- Tables ---- */
    ".pair{display:flex;flex-wrap:wrap;gap:0 40px}.pair>div{min-width:0;max-width:100%}"
    ".pair h3{margin-top:8px}.pair .numbers{min-width:0}\n",
    ".scroll{overflow-x:auto;margin:0 0 14px}table{border-collapse:collapse;font-size:14px}\n",
    "th,td{padding:4px 9px;text-align:left;unicode-bidi:isolate}th{font-weight:600}\n",
    ".numbers{min-width:50%;font-variant-numeric:tabular-nums}.numbers tr>*{border-bottom:1px "
    "solid var(--line)}\n",
    ".numbers td,.numbers thead th{text-align:right;white-space:nowrap}.numbers tr>:first-child,"
    ".names2 tr>:nth-child(2),.layers tr>:nth-child(2),.phases tr>:nth-child(2),"
    ".phases tr>:nth-child(3){text-align:left}\n",
    ".numbers tbody th{font-weight:400;min-width:90px;max-width:320px;overflow-wrap:anywhere}"
    ".layers tbody th{min-width:170px}.names2 td:nth-child(-n+2){white-space:normal;"
    "overflow-wrap:anywhere;min-width:110px;max-width:260px}"
    ".numbers thead th[colspan]{text-align:center}\n",
    ".numbers .minor{color:var(--muted);padding-left:0}.numbers .chosen td{font-weight:600;"
    "background:var(--band1)}.inner th{padding-left:28px}.yes{color:var(--right)}"
    ".no{color:var(--muted)}\n",
    ".scroll tr>:first-child{position:sticky;left:0;background:var(--page)}"
    ".numbers .chosen td:first-child{background:var(--band1)}\n",
    ".bar{width:100px}.bar span{display:block;height:8px;border-radius:2px;"
    "background:var(--training)}\n",
    ".matrix{font-variant-numeric:tabular-nums}.matrix td,.matrix thead th{text-align:center;"
    "min-width:44px;padding:6px}.matrix tbody td{border:1px solid var(--page)}"
    ".matrix tbody th{text-align:right;max-width:200px;overflow-wrap:anywhere}\n",
    ".matrix thead th{vertical-align:bottom;max-width:140px;overflow-wrap:anywhere}"
    ".many thead span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:160px;"
    "overflow:hidden;text-overflow:ellipsis;white-space:nowrap}\n",
    LIGHT_SHADES, "@media (prefers-color-scheme:dark){" DARK_SHADES "}\n",

    /* ---- Pictures ---- */
    ".pictures{list-style:none;padding:0;display:grid;gap:14px 12px;"
    "grid-template-columns:repeat(auto-fill,minmax(150px,1fr))}.pictures figure{margin:0}\n",
    ".pictures img{display:block;width:100%;height:150px;object-fit:contain;"
    "background:var(--soft);border-radius:6px}.none{display:block;height:150px;padding:10px;"
    "background:var(--soft);color:var(--muted);border-radius:6px;overflow:hidden}\n",
    ".pictures figcaption{font-size:14px;line-height:1.35;padding-top:5px;overflow-wrap:anywhere}"
    ".pictures figcaption span{font-variant-numeric:tabular-nums}"
    ".pictures .truth,.pictures small{display:block;unicode-bidi:isolate}"
    ".pictures .file{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:3;"
    "overflow:hidden}\n",
    ".right{color:var(--right)}.wrong{color:var(--wrong)}\n",

    /* ---- Memory ---- */
    ".arena{display:flex;height:26px;border-radius:6px;overflow:hidden;gap:1px}.arena span{"
    "flex-basis:0;min-width:2px}\n",
    ".keys{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px 20px;font-size:14px;"
    "margin:8px 0}.key{display:inline-block;width:12px;height:12px;border-radius:3px;"
    "margin-right:6px}\n",
    "span.t0{background:var(--t0)}span.t1{background:var(--t1)}span.t2{background:var(--t2)}"
    "span.t3{background:var(--t3)}span.t4{background:var(--t4)}span.t5{background:var(--t5)}\n",
    "rect.t0{fill:var(--t0)}rect.t1{fill:var(--t1)}rect.t2{fill:var(--t2)}rect.t3{fill:var(--t3)}"
    "rect.t4{fill:var(--t4)}rect.t5{fill:var(--t5)}.plan g rect{stroke:var(--page);"
    "stroke-width:.7}.plan g:hover rect{stroke:var(--text);stroke-width:1.5}\n",
    ".plan{width:100%;min-width:640px;max-width:920px;height:auto;display:block}\n",

    /* ---- Facts ---- */
    ".facts{display:grid;gap:0 32px;grid-template-columns:repeat(auto-fit,"
    "minmax(min(100%,320px),1fr))}dl{margin:0}dt{color:var(--muted);font-size:13px}"
    "dd{margin:0 0 8px;overflow-wrap:anywhere}\n",

    "@media (max-width:520px){body{padding:16px 14px 32px}h1{font-size:25px}"
    ".cards{grid-template-columns:repeat(2,minmax(0,1fr))}.cards b{font-size:20px}"
    ".pictures{grid-template-columns:repeat(2,minmax(0,1fr))}th,td{padding:4px "
    "5px}.bar{display:none}"
    ".matrix td,.matrix thead th{min-width:29px;padding:5px 2px}"
    ".matrix tbody th{min-width:84px}}\n",
    "@media print{body{max-width:none;padding:0;font-size:11pt}nav{display:none}"
    "section,figure,tr,li{break-inside:avoid}section{break-inside:auto}h2,h3{break-after:avoid}"
    ".charts{grid-template-columns:1fr 1fr}.pictures{grid-template-columns:repeat(6,1fr)}"
    ".pictures img{height:90px}summary{display:none}"
    ".scroll{overflow:visible}.plan{min-width:0}*{print-color-adjust:exact;"
    "-webkit-print-color-adjust:exact}}\n",
    NULL};
