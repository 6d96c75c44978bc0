"""Colours and the style sheet of the report's page."""

__all__ = ["DARK", "LIGHT", "style_sheet"]

LIGHT = {
    "paper": "#fffefb",
    "ink": "#1c1b19",
    "muted": "#6b6862",
    "grid": "#e6e2d9",
    "base": "#767168",
    "accent": "#7c2d12",
    "good": "#0e6b41",
    "bad": "#a3271b",
    "open": "#5b5750",
    "c0": "#1e6edd",
    "c1": "#74491f",
    "c2": "#053a1c",
    "c3": "#ad437f",
    "c4": "#7a7800",
    "c5": "#3d29a4",
}
"""Colours by role on a light ground; PNG files use these."""

DARK = {
    "paper": "#161512",
    "ink": "#ece8df",
    "muted": "#a19c91",
    "grid": "#35322c",
    "base": "#8b867b",
    "accent": "#f0a878",
    "good": "#7fd6a6",
    "bad": "#ff9c8f",
    "open": "#b3aea3",
    "c0": "#4d88f4",
    "c1": "#e3a161",
    "c2": "#74efcf",
    "c3": "#da5c90",
    "c4": "#efe858",
    "c5": "#a8b8fa",
}
"""The same roles on a dark ground."""

_RULES = """
*{box-sizing:border-box}
html{background:var(--paper);color:var(--ink);font:17px/1.55 Charter,"Bitstream Charter","Iowan Old Style",Georgia,
serif;-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:3.5rem 1.5rem 5rem;max-width:68rem}
header,section>p,section>ul,section>h2,.lead{max-width:44rem}
h1{font-size:2.1rem;line-height:1.15;margin:0 0 .8rem;font-weight:600;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:3.2rem 0 .5rem;font-weight:600}
p{margin:.4rem 0 .9rem}
a{color:inherit;text-decoration-color:var(--base);text-underline-offset:.2em}
:focus-visible{outline:3px solid var(--c0);outline-offset:2px}
nav{margin:1.6rem 0 0;max-width:46rem}
nav ul{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;font-size:.8rem}
nav a{color:var(--muted);display:inline-block;padding:.25rem 0}
.stamp{display:inline-block;border:2px solid var(--bad);color:var(--bad);border-radius:3px;padding:.05em .45em;
font:700 .68rem/1.4 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif;
letter-spacing:.08em;white-space:nowrap;vertical-align:middle}
#deviations{border:2px solid var(--bad);border-radius:4px;padding:0 1rem 1rem;margin-top:2rem}
#deviations h2{margin-top:1rem;color:var(--bad)}
span.verdict{font-weight:600;white-space:nowrap}
.good{color:var(--good)}.bad{color:var(--bad)}.open{color:var(--open)}
a:hover{text-decoration-color:currentColor}
.kicker,figcaption,table,.note,.meta,nav,svg text,code{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",
Helvetica,Arial,"DejaVu Sans",sans-serif}
.kicker{font-size:.74rem;letter-spacing:.08em;text-transform:uppercase;color:var(--muted);margin:0 0 .6rem}
.question{font-size:1.15rem;margin:0 0 .3rem}
.hypothesis{color:var(--muted);margin:0}
.meta{font-size:.8rem;color:var(--muted);margin:.9rem 0 0}
.bottom{margin:2.2rem 0 0;border-top:2px solid var(--ink);padding-top:1rem}
.bottom h2{margin:0 0 .4rem}
.bottom ul{list-style:none;margin:0;padding:0;max-width:46rem}
.bottom li{margin:.5rem 0;font-size:1.05rem;overflow-wrap:anywhere}
.bottom li:first-child{font-size:1.3rem;line-height:1.4;margin-bottom:.8rem}
.alarm{border-left:4px solid var(--accent);padding-left:1rem;color:var(--accent);font-weight:600}
.note{font-size:.82rem;line-height:1.5;color:var(--muted);max-width:46rem}
figure{margin:1.6rem 0 0}
figcaption{margin-top:.7rem;font-size:.82rem;color:var(--muted);max-width:46rem;line-height:1.45}
figcaption b{color:var(--ink);font-weight:600}
.wide{overflow-x:auto}
.plot{max-width:100%;height:auto;display:block;overflow:visible}
.plot text{font-size:12px;font-variant-numeric:tabular-nums}
.plot .b{font-weight:600}
.plot polyline{fill:none;stroke-linejoin:round;stroke-linecap:round}
.plot .hollow{fill:var(--paper);stroke-width:1.6}
.scroll{overflow-x:auto;margin:.8rem 0 0}
table{border-collapse:collapse;font-size:.78rem;line-height:1.35;font-variant-numeric:tabular-nums;min-width:60%}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
th{font-weight:500;text-align:left;padding:.32rem .75rem .32rem 0}
thead th{color:var(--muted);vertical-align:bottom;border-bottom:1px solid var(--ink)}
tbody th{font-weight:400;border-bottom:1px solid var(--grid);vertical-align:top}
tbody th.code{white-space:nowrap}
.told tbody th{min-width:9rem;max-width:15rem}
.told td{max-width:30rem}
.told td.text{min-width:14rem}
.told td.source{white-space:normal;min-width:3rem;max-width:5rem}
td{padding:.32rem .75rem .32rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
th.number,td.number{text-align:right;white-space:nowrap}
td.code{white-space:nowrap}
td.source{white-space:nowrap}
#ranking td.code{white-space:normal}#ranking th{white-space:nowrap}
#data table,#sources table{width:100%}
#data .code,#sources .code{white-space:normal;overflow-wrap:anywhere}
#data :is(td,th),#sources td{min-width:9rem}#data .number{min-width:0}
td.source a{color:var(--muted);font-size:.72rem;margin-right:.3em}
.nb{white-space:nowrap}
.hash{color:var(--muted)}
code{font-size:.92em;overflow-wrap:anywhere}
tr:target>*{background:var(--grid)}
details{margin-top:.6rem}details>summary{cursor:pointer;font-size:.82rem;color:var(--muted);font-family:ui-sans-serif,system-ui,sans-serif}
footer{margin-top:4rem;border-top:1px solid var(--grid);padding-top:1rem}
@media (max-width:40rem){html{font-size:15.5px}body{padding:1.8rem 1.1rem 3rem}
.plot{max-width:none;width:620px}.plot text{font-size:13px}
.wide{background:linear-gradient(to right,var(--paper) 30%,transparent) left/2rem 100% no-repeat local,
linear-gradient(to left,var(--paper) 30%,transparent) right/2rem 100% no-repeat local,
linear-gradient(to right,var(--grid),transparent) left/.7rem 100% no-repeat scroll,
linear-gradient(to left,var(--grid),transparent) right/.7rem 100% no-repeat scroll}
.told,.told tbody,.told tr,.told tbody th,.told td,.told td.text,.told td.source{display:block;min-width:0;
max-width:none;text-align:left}
.told thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.told tr{border-bottom:1px solid var(--base);padding:.5rem 0}
.told tbody th,.told td{border:0;padding:.12rem 0;white-space:normal}
.told tbody th{font-weight:600;font-size:.86rem}
.told td[data-name]::before{content:attr(data-name) ": ";color:var(--muted)}
#deviations{padding:0 .7rem .7rem}}
@page{margin:15mm}
@media print{:root{--paper:#fff}
html{font-size:10.5pt}body{max-width:none;padding:0}h2,.note,thead{break-after:avoid}figure,tr{break-inside:avoid}
nav{display:none}.scroll,.wide{overflow:visible}table{font-size:7.2pt;min-width:0;width:100%}
thead{display:table-header-group}th,td{padding-right:.5rem}th.number,td.number{white-space:normal}.nb{white-space:normal}
.told th,.told td,.told td.text,.told td.source{min-width:0;max-width:none}
.bottom{break-inside:avoid}tbody tr:first-child{break-before:avoid}a{text-decoration:none}
td.code,tbody th.code,td.source{white-space:normal;overflow-wrap:anywhere}
details>summary{display:none}details::details-content{content-visibility:visible;display:block}}
"""


def style_sheet() -> str:
    """Return the page's style: light by default, dark where the reader prefers it on screen."""
    roles = [role for role in LIGHT if role != "paper"]
    marks = "".join(f".s-{role}{{stroke:var(--{role})}}.f-{role}{{fill:var(--{role})}}" for role in roles)
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{_variables(DARK)}}}}}"
    return f":root{{color-scheme:light;{_variables(LIGHT)}}}{dark}{_RULES}{marks}"


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{role}:{colour};" for role, colour in colours.items())
