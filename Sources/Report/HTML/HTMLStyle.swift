/// The style sheet of the HTML report: for screens of any width, light and dark, and for paper.
enum HTMLStyle {
    static let sheet = colors + text + charts + paper

    private static let colors: Markup = """
        :root {
          --page: #f4f5f7; --card: #ffffff; --ink: #1d2129; --soft: #5b6472; --rule: #d9dde3;
          --shade: #b4bcc8; --on: #ffffff;
          --c0: #3566c9; --c1: #d9702b; --c2: #23906c; --c3: #b83b63; --c4: #7d55bd; --c5: #a67f14; --c6: #2f93b8;
          --c7: #8b94a1;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --page: #12151a; --card: #1b2027; --ink: #e6e9ee; --soft: #9aa5b4; --rule: #343c47;
            --shade: #4a5564; --on: #10141a;
            --c0: #6f9bf2; --c1: #f0975a; --c2: #4fbf98; --c3: #e3769a; --c4: #ab8ae6; --c5: #d3ad45; --c6: #62bddf;
            --c7: #78828f;
          }
        }
        .k0 { fill: var(--c0); background: var(--c0); } .k1 { fill: var(--c1); background: var(--c1); }
        .k2 { fill: var(--c2); background: var(--c2); } .k3 { fill: var(--c3); background: var(--c3); }
        .k4 { fill: var(--c4); background: var(--c4); } .k5 { fill: var(--c5); background: var(--c5); }
        .k6 { fill: var(--c6); background: var(--c6); } .k7 { fill: var(--c7); background: var(--c7); }
        .ki { fill: var(--ink); background: var(--ink); } .vmm { opacity: .4; }

        """

    private static let text: Markup = """
        * { box-sizing: border-box; }
        body {
          margin: 0 auto; padding: 1.5rem 1rem; max-width: 72rem; background: var(--page); color: var(--ink);
          font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
        }
        h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .4rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.05rem; margin: 0 0 .6rem; } h3 { font-size: .95rem; margin: 1rem 0 .3rem; }
        p { margin: 0 0 .8rem; } header p, section p, footer { color: var(--soft); }
        section, .tiles > div {
          background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: 1rem;
        }
        section { margin: 1rem 0 0; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; }
        .tiles > div { padding: .6rem .8rem; color: var(--soft); font-size: .85rem; }
        .tiles b { display: block; color: var(--ink); font-size: 1.35rem; line-height: 1.3; }
        .scroll { overflow-x: auto; }
        .scroll {
          background: linear-gradient(to left, var(--card) 1rem, transparent) right / 3rem 100% no-repeat local,
            linear-gradient(to left, var(--shade), transparent) right / 1.5rem 100% no-repeat scroll;
        }
        table { border-collapse: separate; border-spacing: 0; width: 100%; }
        table { font-variant-numeric: tabular-nums; font-size: .88rem; }
        th, td { text-align: right; padding: .25rem .6rem; white-space: nowrap; border-bottom: 1px solid var(--rule); }
        th:first-child, td:first-child { text-align: left; padding-left: 0; }
        th { color: var(--soft); font-weight: 600; } tfoot td { font-weight: 600; border-bottom: 0; }
        ul { margin: 0; padding-left: 1.1rem; } li { overflow-wrap: anywhere; } li + li { margin-top: .4rem; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: 0; }
        dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
        code { font: .88em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; } code span { display: inline-block; }
        .kind { white-space: nowrap; } .legend { margin: .6rem 0 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
        .kind i { display: inline-block; width: .7em; height: .7em; border-radius: .15em; margin-right: .45em; }
        button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
        button.kind[aria-pressed=true] { text-decoration: underline; text-underline-offset: .2em; }
        [hidden] { display: none !important; } .word { text-align: left; }
        .filter {
          position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; align-items: center; gap: .4rem 1rem;
          margin: 1rem 0 0; padding: .6rem 1rem; background: var(--card); border: 1px solid var(--rule);
          border-radius: .5rem; font-size: .88rem; color: var(--soft);
        }
        .filter label { display: flex; align-items: center; gap: .4rem; }
        .filter select, .filter .reset {
          font: inherit; color: var(--ink); background: var(--page); border: 1px solid var(--rule); border-radius: .25rem;
          padding: .1rem .4rem; max-width: 12rem;
        }
        .filter input { width: 7rem; margin: 0; accent-color: var(--c0); } .filter output { color: var(--ink); }
        .reset:disabled { opacity: .5; cursor: default; }
        .readout { margin: .3rem 0 0; min-height: 1.5em; font-size: .85rem; font-variant-numeric: tabular-nums; }
        .remark { font-size: .88rem; font-style: italic; } table.part td:nth-child(n+2) { color: var(--soft); }
        :focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; border-radius: .15rem; }
        th[aria-sort=descending] button::after { content: " \\2193"; } th[aria-sort=ascending] button::after { content: " \\2191"; }
        .search { display: block; margin: 0 0 .5rem; font-size: .88rem; color: var(--soft); }
        .search input {
          font: inherit; color: var(--ink); background: var(--page); border: 1px solid var(--rule); border-radius: .25rem;
          padding: .1rem .4rem; width: 12rem; max-width: 60%;
        }
        footer { font-size: .85rem; margin-top: 1rem; }

        """

    private static let charts: Markup = """
        svg { display: block; width: 100%; height: 100%; shape-rendering: crispEdges; }
        .rule { stroke: var(--rule); stroke-width: 1; vector-effect: non-scaling-stroke; fill: none; }
        .edge { stroke: var(--ink); stroke-width: 1; vector-effect: non-scaling-stroke; fill: none; }
        .note { fill: transparent; } .note:hover, .area[tabindex] .note { fill: var(--ink); fill-opacity: .12; }
        .out { fill: var(--card); fill-opacity: .75; } .area[tabindex] { cursor: crosshair; touch-action: pan-y; }
        .flame { position: relative; margin: 0 0 .8rem; font-size: .8rem; overflow: hidden; }
        .frame {
          position: absolute; height: 1.4rem; overflow: hidden; border-radius: .15rem; text-align: left;
          border-right: 1px solid var(--card); color: var(--on);
        }
        .frame.inner { color: var(--ink); } .frame.vmm { opacity: .75; }
        .frame span { display: block; padding: 0 .3rem; line-height: 1.4rem; white-space: nowrap; text-overflow: ellipsis; overflow: hidden; }
        .inner { background: var(--rule); } .frame:hover, .frame:focus-visible { outline: 2px solid var(--ink); outline-offset: -2px; }
        .p50, .p99 { stroke: var(--ink); stroke-width: 1.5; vector-effect: non-scaling-stroke; fill: none; }
        .p99 { stroke-dasharray: 3 3; }
        .plot {
          display: grid; grid-template: 14rem auto / 2.8rem 1fr; column-gap: .5rem; font-size: .78rem;
          padding-right: 1.6rem; color: var(--soft); font-variant-numeric: tabular-nums;
        }
        .plot .area { border: solid var(--rule); border-width: 0 0 1px 1px; }
        .plot .y { display: flex; flex-direction: column; justify-content: space-between; text-align: right; }
        .plot .y span { line-height: 0; } .plot .x { grid-column: 2; }
        .plot .x { position: relative; height: 1.6rem; }
        .plot .x span { position: absolute; top: .2rem; transform: translateX(-50%); white-space: nowrap; }
        .counts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 0 1.5rem; }
        .counts div { display: flex; flex-wrap: wrap; justify-content: space-between; align-content: start; }
        .counts div { border-bottom: 1px solid var(--rule); } .counts small { flex: 0 0 100%; color: var(--soft); }
        .counts div { font-size: .88rem; padding: .2rem 0; font-variant-numeric: tabular-nums; }
        .counts b { font-weight: 500; }
        .shares { display: grid; grid-template-columns: max-content 1fr 1fr; gap: .3rem 1rem; font-size: .88rem; }
        .shares > div:nth-child(-n+3) { color: var(--soft); }
        .bar { display: flex; align-items: center; gap: .5rem; }
        .track { flex: 1; height: .8rem; background: var(--page); border-radius: .2rem; overflow: hidden; }
        .track b { display: block; height: 100%; min-width: 1px; } .parts { display: flex; }
        .value { width: 3.2em; text-align: right; font-variant-numeric: tabular-nums; }
        .strips {
          display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1rem; font-size: .88rem;
          align-items: center; padding-right: 1.2rem;
        }
        .strip { height: 3.2rem; border-bottom: 1px solid var(--rule); }
        .decades { position: relative; height: 2.6rem; font-size: .78rem; color: var(--soft); }
        .decades span { position: absolute; transform: translateX(-50%); text-align: center; white-space: nowrap; }
        @media (max-width: 40rem) {
          body { padding: 1rem .6rem; font-size: 14px; } section { padding: .8rem; }
          .tiles { grid-template-columns: repeat(6, 1fr); gap: .5rem; } .tiles > div { grid-column: span 3; }
          .tiles > div:nth-child(n+3) { grid-column: span 2; } .tiles b { font-size: 1.2rem; }
          .tiles > div { padding: .5rem; font-size: .8rem; } .filter { position: static; padding: .6rem .8rem; } th, td { padding: .25rem .45rem; }
          table[data-places] td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 11rem; }
          th:first-child, td:first-child { position: sticky; left: 0; background: var(--card); }
          .shares { grid-template-columns: 1fr 1fr; } .shares > div:nth-child(1) { display: none; }
          .shares > div:nth-child(3n+1) { grid-column: 1 / 3; margin-top: .3rem; }
          .strips { grid-template-columns: 1fr; gap: .15rem; padding: 0 1.6rem; }
          .strip { height: 2.6rem; margin-bottom: .3rem; }
          .strips > div:nth-last-child(2), .dense span:nth-child(even) { display: none; } .plot { grid-template-rows: 11rem auto; }
          dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
        }

        """

    private static let paper: Markup = """
        @media print {
          :root {
            --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444; --rule: #bbbbbb; --on: #ffffff;
            --c0: #3566c9; --c1: #d9702b; --c2: #23906c; --c3: #b83b63; --c4: #7d55bd; --c5: #a67f14; --c6: #2f93b8;
            --c7: #8b94a1;
          }
          * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
          body { padding: 0; max-width: none; font-size: 10pt; }
          section, .tiles > div { break-inside: avoid; } .scroll { overflow: visible; background: none; }
          .search, .filter, .readout { display: none; } table { font-size: 8pt; } th, td { padding: .15rem .35rem; } .track { border: 1px solid var(--rule); }
        }
        """
}
