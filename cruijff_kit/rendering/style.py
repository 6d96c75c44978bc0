"""Colours and the style sheet of the report's page."""

__all__ = ["DARK", "LIGHT", "style_sheet"]

LIGHT = {
    "paper": "#fffefb",
    "ink": "#1c1b19",
    "muted": "#6b6862",
    "grid": "#e6e2d9",
    "base": "#8f8a80",
    "accent": "#7c2d12",
    "c0": "#1f5f8b",
    "c1": "#c2571a",
    "c2": "#2f7d5b",
    "c3": "#8a3b72",
    "c4": "#a07d12",
    "c5": "#4b4fa6",
}
"""Colours by role on a light ground; PNG files use these."""

DARK = {
    "paper": "#161512",
    "ink": "#ece8df",
    "muted": "#a19c91",
    "grid": "#35322c",
    "base": "#8b867b",
    "accent": "#f0a878",
    "c0": "#78b4dd",
    "c1": "#f0915a",
    "c2": "#72c39c",
    "c3": "#d48cbd",
    "c4": "#d9b954",
    "c5": "#9ea3ee",
}
"""The same roles on a dark ground."""

_RULES = """
*{box-sizing:border-box}
html{background:var(--paper);color:var(--ink);font:17px/1.55 Charter,"Bitstream Charter","Iowan Old Style",Georgia,
serif;-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:3.5rem 1.5rem 5rem;max-width:62rem}
header,section>p,section>ul,section>h2,.lead{max-width:44rem}
h1{font-size:2.1rem;line-height:1.15;margin:0 0 .8rem;font-weight:600;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:3.2rem 0 .5rem;font-weight:600}
p{margin:.4rem 0 .9rem}
a{color:inherit;text-decoration-color:var(--grid);text-underline-offset:.2em}
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
.plot{max-width:100%;height:auto;display:block;overflow:visible}
.plot text{font-size:12px;font-variant-numeric:tabular-nums}
.plot .b{font-weight:600}
.plot polyline{fill:none;stroke-linejoin:round;stroke-linecap:round}
.plot .hollow{fill:var(--paper);stroke-width:1.6}
.scroll{overflow-x:auto;margin:.8rem 0 0}
table{border-collapse:collapse;font-size:.78rem;line-height:1.35;font-variant-numeric:tabular-nums;min-width:60%}
th{font-weight:500;color:var(--muted);text-align:left;vertical-align:bottom;border-bottom:1px solid var(--ink);
padding:.3rem .9rem .3rem 0}
td{padding:.32rem .9rem .32rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
th.number,td.number{text-align:right;white-space:nowrap}
td.code{white-space:nowrap}
td.source{white-space:nowrap}
td.source a{color:var(--muted);font-size:.72rem;margin-right:.3em}
.nb{white-space:nowrap}
.hash{color:var(--muted)}
code{font-size:.92em;overflow-wrap:anywhere}
tr:target td{background:var(--grid)}
details{margin-top:.6rem}details>summary{cursor:pointer;font-size:.82rem;color:var(--muted);font-family:ui-sans-serif,system-ui,sans-serif}
footer{margin-top:4rem;border-top:1px solid var(--grid);padding-top:1rem}
@media (max-width:40rem){html{font-size:15.5px}body{padding-top:1.8rem}}
@media print{:root{--paper:#fff}
html{font-size:10.5pt}body{max-width:none;padding:0}h2{break-after:avoid}figure,tr{break-inside:avoid}
.scroll{overflow:visible}table{font-size:7.2pt}a{text-decoration:none}td.code,td.source{white-space:normal}
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
