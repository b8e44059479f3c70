/// The page's style sheet. Nothing in it depends on what the page shows.
enum ReportStyle {
  static let text = #"""
    :root {
      color-scheme: light dark;
      --paper: light-dark(#fbfbfa, #131416);
      --card: light-dark(#ffffff, #1b1d20);
      --mat: light-dark(#eeeeec, #26292d);
      --line: light-dark(#dededb, #34383d);
      --ink: light-dark(#1b1d20, #eceef0);
      --faint: light-dark(#5b6067, #a3aab3);
      --accent: light-dark(#1757b3, #8ab8ff);
      --on-accent: light-dark(#ffffff, #10213b);
      --warm: light-dark(#a84300, #ffb27a);
      --c0: light-dark(#0072b2, #5aa9e6);
      --c1: light-dark(#c94f00, #ff8a47);
      --c2: light-dark(#00805d, #2fc79b);
      --c3: light-dark(#b34f86, #ea9cc8);
      --c4: light-dark(#9a6a00, #e9ad2f);
      --c5: light-dark(#5b4bb7, #a99bff);
      --c6: light-dark(#2b8aa8, #7ddcf5);
      --c7: light-dark(#3f444a, #e3e6ea);
      font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", sans-serif;
      -webkit-text-size-adjust: 100%;
      text-size-adjust: 100%;
    }
    :root:has(#theme-light:checked) { color-scheme: light; }
    :root:has(#theme-dark:checked) { color-scheme: dark; }
    *, ::before, ::after { box-sizing: border-box; }
    body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere; }
    h1, h2, h3, p, ul, ol, figure, table { margin: 0; padding: 0; }
    ul, ol { list-style: none; }
    h1 { font-size: 1.5rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; }
    h2 { font-size: 1.1875rem; line-height: 1.3; font-weight: 620; }
    h3 { font-size: 1rem; font-weight: 620; }
    a { color: var(--accent); text-underline-offset: .2em; }
    small, .faint { color: var(--faint); }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 6px; }
    .skip { position: absolute; left: -999px; top: .5rem; z-index: 9; padding: .5rem .75rem;
      background: var(--accent); color: var(--on-accent); border-radius: 6px; }
    .skip:focus { left: .5rem; }
    .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

    header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2.5rem); }
    header { padding-top: clamp(1.25rem, 4vw, 2.5rem); display: grid; gap: .75rem 1.5rem; grid-template-columns: 1fr auto; }
    header .sub { margin-top: .25rem; color: var(--faint); }
    header nav { grid-column: 1 / -1; }
    nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .9375rem; }
    nav a { display: inline-block; padding: .25rem 0; text-decoration: none; }
    nav a:hover { text-decoration: underline; }
    .switch { border: 0; margin: 0; padding: 2px; display: flex; align-self: start; border-radius: 8px; background: var(--mat);
      font-size: .8125rem; }
    .switch label { padding: .25rem .625rem; border-radius: 6px; color: var(--faint); cursor: pointer; line-height: 1.4; }
    .switch input { position: absolute; opacity: 0; }
    .switch label:has(:checked) { background: var(--card); color: var(--ink); box-shadow: 0 1px 2px #0003; }
    .switch label:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
    main { display: grid; gap: 3rem; padding-top: 2rem; padding-bottom: 3rem; grid-template-columns: minmax(0, 1fr); }
    main:focus { outline: none; }
    section { border-top: 1px solid var(--line); padding-top: 1.5rem; min-width: 0; }
    section > header, .head { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; justify-content: space-between;
      margin: 0 0 1.25rem; padding: 0; max-width: none; }
    .head p { color: var(--faint); flex: 0 0 100%; }
    .head p:empty { display: none; }
    .note { margin-top: 1.25rem; padding: .75rem 1rem; border-radius: 8px; background: var(--mat); color: var(--ink); font-size: .9375rem; }
    footer { border-top: 1px solid var(--line); padding-top: 1.25rem; padding-bottom: 3rem; color: var(--faint); font-size: .875rem;
      display: grid; gap: .5rem; }
    kbd { font: inherit; font-size: .8125rem; padding: 0 .375rem; border: 1px solid var(--line); border-radius: 4px; color: var(--ink);
      background: var(--card); }

    .pair { display: grid; gap: 1.5rem; grid-template-columns: minmax(0, 1fr); }
    .grid { display: grid; gap: 1.25rem 1rem; grid-template-columns: repeat(auto-fill, minmax(min(9.5rem, 45%), 1fr)); align-content: start; }
    .query { max-width: 20rem; }
    @media (min-width: 52rem) {
      .pair { grid-template-columns: 15rem minmax(0, 1fr); gap: 2rem; }
      .query { position: sticky; top: 1.5rem; align-self: start; max-width: none; }
    }
    .card { min-width: 0; scroll-margin: 1rem; }
    .card:target { grid-column: 1 / -1; }
    .frame { display: block; position: relative; aspect-ratio: 1; border-radius: 8px; overflow: hidden; background: var(--mat); }
    a.frame { cursor: zoom-in; }
    .card:target .frame { aspect-ratio: auto; }
    .card:target .frame img { height: auto; max-height: 90vh; }
    .frame img, .frame > svg { display: block; width: 100%; height: 100%; object-fit: contain; }
    .frame > svg, .frame .heat { position: absolute; inset: 0; }
    .frame .heat { opacity: 0; transition: opacity .2s; background: var(--mat); }
    :root:has(#heat:checked) .frame .heat { opacity: 1; }
    .region { fill: none; stroke: #fff; paint-order: stroke; }
    .region .edge { stroke: #000; stroke-opacity: .65; stroke-width: 5; vector-effect: non-scaling-stroke; }
    .region .core { stroke: #ffd54a; stroke-width: 2.5; vector-effect: non-scaling-stroke; }
    .missing { display: grid; place-content: center; text-align: center; gap: .25rem; padding: .75rem; height: 100%; color: var(--faint);
      font-size: .8125rem; line-height: 1.4; overflow: hidden; border: 1px dashed var(--line); border-radius: 8px; }
    .missing b { color: var(--ink); font-weight: 600; }
    .cap { margin-top: .5rem; font-size: .875rem; line-height: 1.4; display: grid; gap: .0625rem; }
    .cap .name { font-weight: 550; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
    .cap .lines, .cap .rank { color: var(--faint); font-variant-numeric: tabular-nums; font-size: .8125rem; }
    .cap .rank { font-weight: 600; }
    .badge { display: inline-block; padding: 0 .5rem; border-radius: 99px; background: var(--accent); color: var(--on-accent);
      font-size: .75rem; font-weight: 600; line-height: 1.6; justify-self: start; }
    .best .frame { box-shadow: 0 0 0 3px var(--accent); }
    .group + .group { margin-top: 2.25rem; }
    .group .head { margin-bottom: .875rem; }
    .bar { display: block; width: 100%; height: 6px; margin-top: .25rem; }
    .bar .track { fill: var(--mat); }
    .bar .value { fill: var(--accent); }
    .bar .whisker { stroke: var(--ink); stroke-width: 1.5; fill: none; vector-effect: non-scaling-stroke; }

    .scroll { overflow-x: auto; }
    .scroll + h3, .scroll + .head { margin-top: 2rem; }
    section h3 { margin-bottom: .75rem; }
    table { border-collapse: collapse; font-size: .9375rem; font-variant-numeric: tabular-nums; width: 100%; }
    th, td { text-align: left; padding: .5rem 1.25rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
    thead th { color: var(--faint); font-weight: 550; font-size: .8125rem; white-space: nowrap; }
    tbody th { font-weight: 550; min-width: 7rem; max-width: 18rem; }
    td.number, th.number { text-align: right; white-space: nowrap; }
    td .bar { min-width: 6rem; }
    td .range { display: block; color: var(--faint); font-size: .8125rem; white-space: nowrap; }
    details { margin-top: 1rem; }
    summary { cursor: pointer; color: var(--accent); padding: .25rem 0; }

    .stage { position: relative; border: 1px solid var(--line); border-radius: 10px; background: var(--card); overflow: hidden; }
    .stage:focus-visible { outline-offset: 2px; border-radius: 10px; }
    .stage > svg { display: block; width: 100%; height: auto; max-height: 85vh; touch-action: pan-y; }
    .stage.zoomed > svg { cursor: grab; touch-action: none; }
    .dots path { fill: none; transition: opacity .15s; }
    .round { stroke-linecap: round; }
    .square { stroke-linecap: square; }
    .hole { stroke: var(--card); }
    .c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
    .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
    .rest { stroke: var(--faint); }
    .picked .dots g:not(.on) { opacity: .12; }
    .marks { display: none; }
    .stage:has(~ .tools .show-marks:checked) .marks { display: inline; }
    .marks rect { fill: none; stroke: var(--card); }
    .cursor { fill: none; stroke: var(--ink); display: none; }
    .tip { position: absolute; left: 0; top: 0; display: none; gap: .625rem; align-items: center; max-width: min(17rem, 90%);
      padding: .5rem; border-radius: 8px; background: var(--card); border: 1px solid var(--line); box-shadow: 0 4px 16px #0004;
      font-size: .8125rem; line-height: 1.35; pointer-events: none; }
    .tip.on { display: flex; }
    .tip svg { flex: none; width: 64px; height: 64px; border-radius: 4px; background: var(--mat); }
    .tip span { display: block; color: var(--faint); }
    .tools { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center; margin-top: .75rem; font-size: .875rem; }
    .tools label { display: inline-flex; gap: .5rem; align-items: center; }
    .tools input { accent-color: var(--accent); width: 1rem; height: 1rem; margin: 0; }
    .zoom { display: none; gap: .25rem; margin-left: auto; }
    .js .zoom { display: flex; }
    button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px; cursor: pointer;
      padding: .25rem .75rem; min-height: 2rem; }
    button:hover { border-color: var(--faint); }
    .legend { display: flex; flex-wrap: wrap; gap: .375rem; margin-top: 1rem; font-size: .875rem; }
    .legend button { display: inline-flex; gap: .5rem; align-items: center; padding: .125rem .625rem; border-radius: 99px; text-align: left; }
    .legend svg { flex: none; width: .75rem; height: .75rem; overflow: visible; }
    .legend svg path { fill: none; }
    .legend button[aria-pressed="true"] { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
    .legend .count { color: var(--faint); font-variant-numeric: tabular-nums; }

    dialog { border: 0; padding: 0; margin: 0; width: 100vw; height: 100dvh; max-width: none; max-height: none; background: var(--paper);
      color: var(--ink); }
    dialog::backdrop { background: #000a; }
    .view { display: grid; grid-template-rows: auto minmax(0, 1fr) auto; height: 100%; padding: clamp(.75rem, 2vw, 1.5rem); gap: .75rem; }
    .view .bars { display: flex; gap: .5rem; align-items: center; }
    .view .bars output { flex: 1; color: var(--faint); font-size: .875rem; font-variant-numeric: tabular-nums; }
    .view .both { display: grid; gap: .75rem; min-height: 0; grid-auto-rows: minmax(0, 1fr); }
    @media (min-width: 40rem) { .view .both { grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); grid-auto-rows: auto; } }
    .view .frame { aspect-ratio: auto; height: 100%; cursor: default; }
    .view .cap { margin: 0; max-height: 30vh; overflow: auto; }
    .view .cap .name { -webkit-line-clamp: 6; font-size: 1rem; }
    @media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
    @media print { .skip, .switch, .zoom, dialog { display: none; } .query { position: static; } .card { break-inside: avoid; } }
    """#
}
