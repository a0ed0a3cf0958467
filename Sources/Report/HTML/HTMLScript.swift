/// The script of the HTML report: tables that can be sorted and searched; a kind, a vCPU and a stretch of time that can be
/// chosen in all charts and tables; numbers where the pointer is.
///
/// The page is whole without it: it makes the controls that need it, and no printed page shows them. Texts get into the
/// page as text nodes and attributes alone. What it draws anew has the same numbers as what the report has drawn.
enum HTMLScript {
    static let text: Markup = start + tables + shares + timeline + flame + filter

    /// The data, and what is chosen of them.
    private static let start: Markup = #"""
        'use strict';
        const data = JSON.parse(document.getElementById('data').textContent);
        const end = Math.max(data.times.length - 1, 0);
        const chosen = {group: null, vcpu: null, from: 0, to: end};
        const isPart = () => chosen.from > 0 || chosen.to < end;
        const all = (selector, root = document) => [...root.querySelectorAll(selector)];
        // An element with attributes, and texts or elements in it.
        function make(tag, attributes = {}, ...content) {
          const element = document.createElement(tag);
          for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
          element.append(...content);
          return element;
        }
        const add = numbers => numbers.reduce((sum, number) => sum + number, 0);
        const isWanted = item => chosen.group === null || item.group === chosen.group;
        // The numbers of the chosen vCPU, from a list of one number each, and from a series.
        const ofVCPU = numbers => chosen.vcpu === null ? add(numbers) : numbers[chosen.vcpu];
        const overTime = series => chosen.vcpu === null || !series.vcpus ? series.exits : series.vcpus[chosen.vcpu];
        const inTime = series => add(overTime(series).slice(chosen.from, chosen.to));
        function share(part, whole) {
          if (whole === 0) return '-';
          const percent = part / whole * 100;
          return (percent >= 99.95 ? '100' : percent.toFixed(1)) + '%';
        }
        // All exits of the chosen vCPU and time that pass a test.
        function exits(test) {
          return add(isPart() ? data.series.filter(test).map(inTime) : data.rows.filter(test).map(row => ofVCPU(row.exits)));
        }

        """#

    private static let tables: Markup = #"""
        // Numbers as the tables show them: 1.52M, 65.9%, 500us, 250 ms.
        const units = {'': 1, '%': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, ks: 1e3, Ms: 1e6};
        function value(text) {
          const match = /^([0-9.]+) ?([a-zA-Z%]*)$/.exec(text.trim());
          return match && match[2] in units ? Number(match[1]) * units[match[2]] : NaN;
        }
        function compare(a, b) {
          const x = value(a), y = value(b);
          if (Number.isNaN(x) && Number.isNaN(y)) return a.localeCompare(b);
          return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : y - x;
        }
        function makeSortable(table) {
          const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
          heads.forEach((head, column) => {
            const button = make('button', {type: 'button'}, ...head.childNodes);
            head.append(button);
            button.addEventListener('click', () => {
              const back = head.getAttribute('aria-sort') === 'descending';
              heads.forEach(other => other.removeAttribute('aria-sort'));
              head.setAttribute('aria-sort', back ? 'ascending' : 'descending');
              const rows = [...body.rows];
              rows.sort((a, b) => compare(a.cells[column].textContent, b.cells[column].textContent) * (back ? -1 : 1));
              body.append(...rows);
            });
          });
        }
        // Why rows are hidden: by the search, or by what is chosen.
        const found = new Map(), wanted = new Map();
        function show(row) { row.hidden = found.get(row) === false || wanted.get(row) === false; }
        function makeSearchable(table) {
          const rows = [...table.tBodies[0].rows];
          if (rows.length === 1) return;
          const input = make('input', {type: 'search'}), result = make('output');
          table.parentElement.before(make('label', {class: 'search'}, 'Search ', input, ' ', result));
          input.addEventListener('input', () => {
            const words = input.value.toLowerCase().split(' ').filter(word => word !== '');
            let count = 0;
            for (const row of rows) {
              found.set(row, words.every(word => row.textContent.toLowerCase().includes(word)));
              if (found.get(row)) count += 1;
              show(row);
            }
            result.textContent = words.length === 0 ? '' : count + ' of ' + rows.length + ' rows';
          });
        }
        const column = table => [...table.tHead.rows[0].cells].findIndex(head => head.textContent === 'count');
        const rowsOf = table => [...table.tBodies[0].rows];
        // The cells as the report has them, and the rows' numbers in its order.
        const cells = new Map(), numbers = new Map();
        for (const table of all('table')) {
          rowsOf(table).forEach((row, number) => numbers.set(row, number));
          for (const row of [...rowsOf(table), ...(table.tFoot ? table.tFoot.rows : [])]) {
            cells.set(row, [...row.cells].map(cell => cell.textContent));
          }
        }
        function setCell(row, index, text) {
          if (row.cells[index].textContent !== text) row.cells[index].textContent = text;
        }
        // Counts of the chosen time in the tables of kinds. Times are kept for the whole run alone.
        function drawCounts(table) {
          const count = column(table), vcpu = table.dataset.vcpu;
          const own = series => vcpu === undefined || !series.vcpus ? series.exits : series.vcpus[vcpu];
          const exits = series => add(own(series).slice(chosen.from, chosen.to));
          for (const row of rowsOf(table)) {
            wanted.set(row, chosen.group === null || Number(row.dataset.group) === chosen.group);
            show(row);
            const series = data.series[row.dataset.series];
            setCell(row, count, !isPart() ? cells.get(row)[count] : series ? String(exits(series)) : '-');
          }
          const total = table.tFoot.rows[0];
          setCell(total, count, isPart() ? String(add(data.series.map(exits))) : cells.get(total)[count]);
          table.classList.toggle('part', isPart());
        }
        // The places of the chosen vCPU.
        function drawPlaces(table) {
          const count = column(table), ofVCPUs = data.places[table.dataset.places];
          for (const row of rowsOf(table)) {
            const own = chosen.vcpu === null ? cells.get(row).slice(count) : ofVCPUs[numbers.get(row)][chosen.vcpu];
            wanted.set(row, own !== undefined && (chosen.group === null || Number(row.dataset.group) === chosen.group));
            show(row);
            if (own) own.forEach((text, index) => setCell(row, count + index, text));
          }
          // How the rows that are left out divide into kinds and vCPUs is not in the page.
          if (table.tFoot) table.tFoot.hidden = chosen.vcpu !== null || chosen.group !== null;
        }

        """#

    private static let shares: Markup = #"""
        function drawBar(bar) {
          const group = Number(bar.dataset.group), isTime = bar.dataset.bar === 'time';
          const sums = [true, false].map(kvm => {
            const test = row => row.group === group && row.kvm === kvm;
            return isTime ? add(data.rows.filter(test).map(row => ofVCPU(row.time))) : exits(test);
          });
          const whole = isTime ? add(data.rows.map(row => ofVCPU(row.time))) : exits(() => true);
          const isKnown = !(isTime && isPart());
          const parts = sums.map((sum, index) => {
            const row = data.rows.find(row => row.group === group && row.kvm === (index === 0));
            if (!row || sum === 0 || !isKnown) return null;
            const part = make('b', {class: row.color, title: sum + (isTime ? '' : ' exits') + ', ' + share(sum, whole)});
            part.style.width = sum / whole * 100 + '%';
            return part;
          });
          bar.querySelector('.track').replaceChildren(...parts.filter(part => part !== null));
          bar.querySelector('.value').textContent = isKnown ? share(add(sums), whole) : '-';
        }

        """#

    private static let timeline: Markup = #"""
        function count(value) {
          const names = ['', 'k', 'M', 'G', 'T', 'P'];
          let index = 0;
          while (value >= 999.5 && index + 1 < names.length) { value /= 1000; index += 1; }
          const isWhole = index === 0 && Number.isInteger(value);
          return value.toFixed(isWhole || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2) + names[index];
        }
        // Where an axis ends: its quarters are short numbers.
        function roundedUp(value) {
          if (!(value > 0)) return 1;
          let power = 1;
          while (power * 10 < value) power *= 10;
          while (power >= value) power /= 10;
          return ([1, 1.2, 1.6, 2, 4, 6, 8].find(factor => factor * power >= value) ?? 10) * power;
        }
        function layers() {
          const made = [];
          let top = new Array(end).fill(0);
          for (const series of data.series.filter(isWanted)) {
            const below = made.length > 0 && made.at(-1).color === series.color ? made.pop().below : top;
            const exits = overTime(series);
            top = top.map((sum, index) => sum + (exits[index] ?? 0));
            made.push({color: series.color, kvm: series.kvm, top, below});
          }
          return made;
        }
        const area = document.querySelector('.plot .area');
        const readout = make('p', {class: 'readout'});
        function shape(tag, attributes) {
          const element = document.createElementNS(area.querySelector('svg').namespaceURI, tag);
          for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
          return element;
        }
        function drawTimeline() {
          const made = layers(), highest = Math.max(0, ...(made.at(-1)?.top ?? [])) * data.rate;
          const scale = roundedUp(highest), y = exits => 1000 * (1 - exits * data.rate / scale);
          const steps = numbers => numbers.map((exits, index) => 'H' + index + 'V' + y(exits)).join('');
          const back = numbers => numbers.map((exits, index) => 'H' + (index + 1) + 'V' + y(exits)).reverse().join('');
          const paths = made.map(layer => shape('path', {
            class: layer.color, d: 'M0 1000' + steps(layer.top) + back(layer.below) + 'H0Z',
          })).reverse();
          const kernel = made.filter(layer => layer.kvm).at(-1);
          if (kernel) paths.push(shape('path', {class: 'edge', d: 'M0 ' + y(kernel.top[0]) + steps(kernel.top) + 'H' + end}));
          const rules = [250, 500, 750].map(at => shape('path', {class: 'rule', d: 'M0 ' + at + 'H' + end}));
          const out = [[0, chosen.from], [chosen.to, end]].filter(([from, to]) => to > from)
            .map(([from, to]) => shape('rect', {class: 'out', x: from, y: 0, width: to - from, height: 1000}));
          area.querySelector('svg').replaceChildren(...rules, ...paths, ...out);
          const label = text => text.replace(/(\.\d*?)0+(?=\D*$)/, '$1').replace(/\.(?=\D*$)/, '');
          all('.plot .y span').forEach((span, index) => { span.textContent = label(count(scale * (4 - index) / 4)); });
        }
        // What there was in an interval, in words.
        function describe(index) {
          const list = kvm => data.series.filter(series => series.kvm === kvm && isWanted(series))
            .map(series => [series.name, overTime(series)[index] ?? 0]).filter(([, exits]) => exits > 0)
            .map(([name, exits]) => name + ' ' + exits).join(', ');
          const kernel = list(true), own = list(false), both = data.series.some(series => series.kvm);
          const parts = [kernel && 'KVM: ' + kernel, own && (both ? 'MiniVMM: ' : '') + own].filter(text => text);
          return 'from ' + data.times[index] + ': ' + (parts.join('; ') || 'none');
        }
        function point(index) {
          area.querySelector('.note')?.remove();
          if (index === null) { readout.textContent = '\u00a0'; return; }
          area.querySelector('svg').append(shape('rect', {class: 'note', x: index, y: 0, width: 1, height: 1000}));
          readout.textContent = describe(index);
          area.setAttribute('aria-valuenow', index);
          area.setAttribute('aria-valuetext', describe(index));
        }
        // Looking at intervals by pointer and arrow keys; a drag chooses a stretch of time.
        function makeTimeline() {
          const attributes = {
            tabindex: 0, role: 'slider', 'aria-label': 'Exits over time, interval by interval', 'aria-valuemin': 0,
            'aria-valuemax': end - 1, 'aria-valuenow': 0, 'aria-valuetext': describe(0),
          };
          for (const [name, value] of Object.entries(attributes)) area.setAttribute(name, value);
          area.parentElement.after(readout);
          let at = 0, start = null;
          const interval = event => {
            const box = area.getBoundingClientRect();
            return Math.min(end - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * end)));
          };
          area.addEventListener('pointermove', event => {
            at = interval(event);
            if (start !== null && at !== start) choose({from: Math.min(start, at), to: Math.max(start, at) + 1});
            point(at);
          });
          area.addEventListener('pointerdown', event => { start = interval(event); area.setPointerCapture(event.pointerId); });
          area.addEventListener('pointerup', () => { start = null; });
          area.addEventListener('pointercancel', () => { start = null; });
          area.addEventListener('pointerleave', () => point(null));
          area.addEventListener('focus', () => { if (area.matches(':focus-visible')) point(at); });
          area.addEventListener('blur', () => point(null));
          area.addEventListener('keydown', event => {
            const to = {
              ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1,
              PageDown: at - 10, PageUp: at + 10, Home: 0, End: end - 1,
            }[event.key];
            if (to === undefined) return;
            event.preventDefault();
            at = Math.min(end - 1, Math.max(0, to));
            point(at);
          });
          point(null);
        }

        """#

    private static let flame: Markup = #"""
        const flame = document.querySelector('.flame');
        // The names of the frames that the graph is opened at.
        let opened = [];
        function tree() {
          const root = {name: 'all', weight: 0, color: 'inner', children: new Map()};
          for (const stack of data.stacks.filter(isWanted)) {
            const weight = ofVCPU(stack.exits);
            if (weight === 0) continue;
            let node = root;
            node.weight += weight;
            for (const name of stack.frames) {
              if (!node.children.has(name)) node.children.set(name, {name, weight: 0, color: 'inner', children: new Map()});
              node = node.children.get(name);
              node.weight += weight;
            }
            node.color = stack.color;
          }
          return root;
        }
        function drawFlame() {
          const root = tree(), above = [root];
          for (const name of opened) {
            const next = above.at(-1).children.get(name);
            if (!next) break;
            above.push(next);
          }
          opened = above.slice(1).map(node => node.name);
          const base = above.at(-1), frames = [];
          let depth = 0;
          const frame = (node, path, left, width) => {
            depth = Math.max(depth, path.length + 1);
            const text = node.name + ': ' + node.weight + ' exits, ' + share(node.weight, root.weight);
            const button = make('button', {
              type: 'button', class: 'frame ' + node.color, title: text, 'aria-label': text, tabindex: path.length === opened.length ? 0 : -1,
              'data-depth': path.length,
            }, make('span', {}, node.name));
            Object.assign(button.style, {left: left + '%', width: width + '%', top: path.length * 1.5 + 'rem'});
            button.addEventListener('click', () => {
              opened = path;
              drawFlame();
              all('.frame', flame)[path.length].focus();
            });
            frames.push(button);
          };
          const draw = (node, path, start) => {
            if (node.weight / base.weight < 1 / 2000) return;
            frame(node, path, start / base.weight * 100, node.weight / base.weight * 100);
            const children = [...node.children.values()].sort((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1));
            for (const child of children) {
              draw(child, [...path, child.name], start);
              start += child.weight;
            }
          };
          above.slice(0, -1).forEach((node, index) => frame(node, opened.slice(0, index), 0, 100));
          if (base.weight > 0) draw(base, opened, 0);
          flame.style.height = Math.max(depth, 1) * 1.5 + 'rem';
          flame.replaceChildren(...(frames.length > 0 ? frames : ['No exit of these has a place.']));
        }
        // One frame is in the order of the tabulator; the arrow keys go from frame to frame.
        function makeFlame() {
          flame.addEventListener('keydown', event => {
            const frames = all('.frame', flame), at = frames.indexOf(event.target), depth = Number(event.target.dataset.depth);
            const isNear = (frame, step) => Number(frame.dataset.depth) === depth + step;
            const to = {
              ArrowLeft: () => frames.slice(0, at).reverse().find(frame => isNear(frame, 0)),
              ArrowRight: () => frames.slice(at + 1).find(frame => isNear(frame, 0)),
              ArrowUp: () => frames.slice(0, at).reverse().find(frame => isNear(frame, -1)),
              ArrowDown: () => isNear(frames[at + 1] ?? event.target, 1) ? frames[at + 1] : undefined,
            }[event.key]?.();
            if (!to) return;
            event.preventDefault();
            for (const frame of frames) frame.tabIndex = frame === to ? 0 : -1;
            to.focus();
          });
        }

        """#

    private static let filter: Markup = #"""
        const select = names => make('select', {}, make('option', {value: ''}, 'all'),
          ...names.map((name, number) => make('option', {value: number}, name)));
        const kind = select(data.groups), vcpu = select(Array.from({length: data.vcpus}, (_, number) => String(number)));
        const from = make('input', {type: 'range', min: 0, max: Math.max(end - 1, 0), value: 0});
        const to = make('input', {type: 'range', min: Math.min(1, end), max: end, value: end});
        const reset = make('button', {type: 'button', class: 'reset'}, 'Show all');
        const status = make('output', {role: 'status', 'aria-live': 'polite'});
        // Below the headings of what is not kept by what is chosen.
        const remarks = {
          'share-time': 'The shares of time are known of the whole run alone.',
          'table-time': 'Counts are of the chosen time; all else is of the whole run.',
          kind: 'all kinds', vcpu: 'all vCPUs', time: 'the whole run',
        };
        const notes = all('[data-whole]').filter(section => section.tagName === 'SECTION').map(section => {
          const note = make('p', {class: 'remark'});
          section.querySelector('h2').after(note);
          return [section.dataset.whole.split(' '), note];
        });
        function drawNotes() {
          const is = {kind: chosen.group !== null, vcpu: chosen.vcpu !== null, time: isPart()};
          for (const [words, note] of notes) {
            const missing = words.filter(word => is[word.split('-').at(-1)]);
            note.hidden = missing.length === 0;
            const text = missing.map(word => remarks[word]).join(' and ');
            note.textContent = missing.some(word => word.includes('-')) ? text : 'Of ' + text + '.';
          }
        }
        function say() {
          const isAll = chosen.group === null && chosen.vcpu === null && !isPart();
          const parts = [chosen.group === null ? '' : data.groups[chosen.group], chosen.vcpu === null ? '' : 'vCPU ' + chosen.vcpu,
            isPart() ? data.times[chosen.from] + ' to ' + data.times[chosen.to] : ''].filter(part => part !== '');
          const whole = add(data.rows.map(row => add(row.exits)));
          status.textContent = isAll ? 'All ' + whole + ' exits.' : parts.join(', ') + ': ' + exits(isWanted) + ' of ' + whole + ' exits.';
          reset.disabled = isAll;
        }
        // Chooses, and shows what is chosen everywhere.
        function choose(change) {
          Object.assign(chosen, change);
          kind.value = chosen.group ?? '';
          vcpu.value = chosen.vcpu ?? '';
          from.value = chosen.from;
          to.value = chosen.to;
          from.setAttribute('aria-valuetext', data.times[chosen.from] ?? '');
          to.setAttribute('aria-valuetext', data.times[chosen.to] ?? '');
          for (const button of all('button.kind')) button.setAttribute('aria-pressed', Number(button.dataset.group) === chosen.group);
          for (const element of all('.shares > [data-group], .strips > [data-group]')) {
            element.hidden = chosen.group !== null && Number(element.dataset.group) !== chosen.group;
          }
          for (const element of all('[data-only]')) element.hidden = chosen.vcpu !== null && Number(element.dataset.only) !== chosen.vcpu;
          for (const table of all('table')) {
            if (table.dataset.places) drawPlaces(table); else drawCounts(table);
            if (!table.dataset.vcpu && !table.dataset.places) table.closest('section').hidden = chosen.vcpu !== null;
          }
          all('.bar').forEach(drawBar);
          if (area && end > 0) drawTimeline();
          if (flame) drawFlame();
          drawNotes();
          say();
        }
        // A kind of a legend as a button.
        function makeChoosable(label) {
          const group = data.groups.indexOf(label.textContent);
          if (group < 0) return;
          const button = make('button', {type: 'button', class: 'kind', 'data-group': group, 'aria-pressed': false}, ...label.childNodes);
          label.replaceWith(button);
          button.addEventListener('click', () => choose({group: chosen.group === group ? null : group}));
        }
        function makeFilter() {
          const number = text => text === '' ? null : Number(text);
          const control = (name, input) => make('label', {}, name + ' ', input);
          const form = make('form', {class: 'filter', role: 'search', 'aria-label': 'What is shown'}, control('Kind', kind));
          if (data.vcpus > 1) form.append(control('vCPU', vcpu));
          if (end > 1) form.append(control('From', from), control('to', to));
          form.append(reset, status);
          document.querySelector('.tiles').after(form);
          form.addEventListener('submit', event => event.preventDefault());
          kind.addEventListener('change', () => choose({group: number(kind.value)}));
          vcpu.addEventListener('change', () => choose({vcpu: number(vcpu.value)}));
          from.addEventListener('input', () => choose({from: Number(from.value), to: Math.max(chosen.to, Number(from.value) + 1)}));
          to.addEventListener('input', () => choose({to: Number(to.value), from: Math.min(chosen.from, Number(to.value) - 1)}));
          const showAll = () => { opened = []; choose({group: null, vcpu: null, from: 0, to: end}); };
          reset.addEventListener('click', showAll);
          document.addEventListener('keydown', event => {
            if (event.key === 'Escape' && event.target.type !== 'search') showAll();
          });
        }
        all('table').forEach(makeSortable);
        all('table').forEach(makeSearchable);
        all('.legend span.kind').forEach(makeChoosable);
        if (data.groups.length > 0) {
          makeFilter();
          if (area && end > 0) makeTimeline();
          if (flame) makeFlame();
          choose({});
        }
        """#
}
