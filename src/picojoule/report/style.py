"""The style sheet of the HTML report.

Colours are of the Okabe-Ito set, which colour-blind readers tell apart; lighter in the dark.
"""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --page: #fbfbf9; --card: #ffffff; --ink: #1b1f24; --soft: #59626c; --line: #dfe2e4;
  --faint: #eef0f1; --accent: #0063a3; --shade: #00000026;
  --c0: #0072b2; --c1: #e69f00; --c2: #009e73; --c3: #cc79a7;
  --c4: #56b4e9; --c5: #d55e00; --c6: #8a8f94; --good: #00734f; --bad: #b43c00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1c2024; --ink: #e8eaec; --soft: #a3abb3; --line: #343a40;
    --faint: #262b30; --accent: #6cbcf0; --shade: #000000b0;
    --c0: #3d9bd9; --c1: #f0b429; --c2: #2dbd92; --c3: #dd93bd;
    --c4: #8fd0f5; --c5: #f07f3c; --c6: #9aa1a8; --good: #4fd1a5; --bad: #ff9b66;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "Noto Sans",
    "Liberation Sans", "DejaVu Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
main { max-width: 1080px; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
h1, h2, h3 { line-height: 1.2; text-wrap: balance; font-weight: 650; }
h1 { font-size: clamp(1.6rem, 1.1rem + 2vw, 2.3rem); margin: 0 0 .6rem; letter-spacing: -.015em; }
h2 { font-size: 1.3rem; margin: 3.2rem 0 .4rem; letter-spacing: -.005em; }
h3 { font-size: 1rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0 .9rem; max-width: 46rem; }
ul { margin: .3rem 0 1rem; padding-left: 1.15rem; max-width: 46rem; }
li { margin: .2rem 0; }
h1, h2, li, .card p, figcaption, .head span, .strip div { overflow-wrap: anywhere; }
a { color: var(--accent); text-underline-offset: .15em; }
code, .mono { font: .84em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono",
  "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.eyebrow { color: var(--soft); font-size: .8rem; letter-spacing: .09em; text-transform: uppercase;
  margin: 0 0 .5rem; font-weight: 600; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
nav li { min-width: 0; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; padding: 0;
  margin: 1.2rem 0 0; max-width: none; font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 1rem;
  margin: 1.8rem 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.15rem; min-width: 0; }
.card .label { font-size: .82rem; color: var(--soft); margin: 0; }
.card .value { font-size: 1.75rem; font-weight: 650; line-height: 1.25; margin: .15rem 0 .2rem;
  letter-spacing: -.015em; }
.card .value.good { color: var(--good); } .card .value.bad { color: var(--bad); }
.card .detail { font-size: .82rem; line-height: 1.4; margin: 0; color: var(--soft); }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr));
  gap: 1rem; margin: 1rem 0; }
figure { margin: 1rem 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 1rem 1.15rem; min-width: 0; }
.panels figure { margin: 0; }
figcaption { font-size: .9rem; font-weight: 600; margin-bottom: .6rem; line-height: 1.35; }
figcaption span { font-weight: 400; color: var(--soft); }
svg { display: block; width: 100%; overflow: visible; }
svg .grid { stroke: var(--line); } svg .link { stroke: var(--soft); fill: none; }
svg .ink { fill: var(--ink); } svg .paper { fill: var(--card); stroke: var(--ink); }
svg .whisker { stroke: var(--ink); stroke-width: 1.5; } svg .faint { fill: var(--faint); }
svg .dots { stroke: var(--ink); stroke-linecap: round; fill: none; }
svg .f0 { fill: var(--c0); } svg .f1 { fill: var(--c1); } svg .f2 { fill: var(--c2); }
svg .f3 { fill: var(--c3); } svg .f4 { fill: var(--c4); } svg .f5 { fill: var(--c5); }
svg .f6 { fill: var(--c6); } svg .gap { stroke: var(--card); stroke-width: 1; }
svg .hatch { stroke: var(--card); stroke-width: 2; }
.ladder { display: grid; grid-template-columns: max-content minmax(0, 1fr) max-content;
  column-gap: .9rem; font-size: .85rem; }
.ladder .names, .ladder .values { display: grid; grid-auto-rows: 26px; align-items: center; }
.ladder .values { text-align: right; font-weight: 600; }
.ladder .names { color: var(--soft); }
.axis { display: flex; justify-content: space-between; font-size: .75rem; color: var(--soft);
  line-height: 1.2; margin-top: .2rem; }
.ladder .axis { grid-column: 2; }
.bars { display: grid; gap: .9rem; font-size: .85rem; }
.bars .head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem;
  line-height: 1.35; margin-bottom: .2rem; }
.bars .head b { font-weight: 600; }
.legend { list-style: none; display: grid; padding: 0; margin: .7rem 0 0; max-width: none;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); gap: .15rem 1.4rem;
  font-size: .82rem; }
.legend li { display: grid; grid-template-columns: 14px minmax(0, 1fr) auto; gap: .5rem;
  align-items: center; margin: 0; }
.strip { display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); column-gap: .9rem;
  font-size: .82rem; align-items: center; margin-bottom: 4px; line-height: 1.3; }
.strip .axis { grid-column: 2; }
.scroll { overflow-x: auto; margin: 1rem 0; border: 1px solid var(--line); border-radius: 8px;
  background: linear-gradient(to right, var(--card) 50%, transparent) left / 32px 100% no-repeat
    local, linear-gradient(to left, var(--card) 50%, transparent) right / 32px 100% no-repeat
    local, linear-gradient(to right, var(--shade), transparent) left / 12px 100% no-repeat,
    linear-gradient(to left, var(--shade), transparent) right / 12px 100% no-repeat,
    var(--card); }
.scroll:focus-visible, a:focus-visible, summary:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; line-height: 1.4; }
caption { text-align: left; font-weight: 600; padding: .8rem 1rem .3rem; font-size: .9rem; }
th, td { padding: .42rem .8rem; text-align: left; vertical-align: top;
  border-top: 1px solid var(--faint); font-weight: 400; }
th:first-child { padding-left: 1rem; } td:last-child, th:last-child { padding-right: 1rem; }
thead th { border-top: 0; border-bottom: 1px solid var(--line); color: var(--soft);
  font-size: .8rem; vertical-align: bottom; line-height: 1.3; }
.num { text-align: right; white-space: nowrap; }
tbody th { white-space: nowrap; max-width: 22rem; overflow-wrap: anywhere; }
tfoot th, tfoot td { border-top: 1px solid var(--line); font-weight: 650; }
tr.strong th, tr.strong td { font-weight: 650; }
tr.sub th { padding-left: 1.9rem; color: var(--soft); }
.head2 { display: block; color: var(--soft); font-weight: 400; }
td .meter { display: block; height: 6px; margin-top: .35rem; min-width: 84px; }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: 99px;
  padding: 0 .55em; font-size: .78rem; line-height: 1.5; white-space: nowrap; }
.tag.assumed { border-color: var(--bad); color: var(--bad); }
section.row { border-top: 1px solid var(--line); margin-top: 3rem; }
section.row h2 { margin-top: 1.6rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1.2rem;
  font-size: .875rem; margin: .8rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 560px) {
  main { padding: 1.6rem 1rem 3rem; }
  h2 { margin-top: 2.4rem; }
  .cards { grid-template-columns: 1fr 1fr; gap: .7rem; }
  .card { padding: .8rem .9rem; } .card .value { font-size: 1.35rem; }
  figure { padding: .8rem .9rem; }
  .strip { grid-template-columns: minmax(0, 1fr); } .strip .axis { grid-column: 1; }
  dl { grid-template-columns: 6.8rem minmax(0, 1fr); gap: .3rem .8rem; }
  th, td { padding: .4rem .55rem; } tbody th { white-space: normal; min-width: 9rem;
    overflow-wrap: break-word; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --soft: #444;
    --line: #bbb; --faint: #f0f0f0; --accent: #000;
    --c0: #0072b2; --c1: #e69f00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #d55e00;
    --c6: #8a8f94; --good: #000; --bad: #000; }
  @page { margin: 16mm; }
  body { font-size: 10pt; } main { padding: 0; max-width: none; } nav { display: none; }
  figure, .card, tr { break-inside: avoid; } h2, h3, caption { break-after: avoid; }
  .scroll { overflow: visible; background: none; } table { font-size: 8pt; }
  th, td { padding: .3rem .4rem; } thead th { white-space: normal; font-size: 8pt; }
  .panels { grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
  .bars, .ladder, .legend { font-size: 8.5pt; }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
