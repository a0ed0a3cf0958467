/// The script of the HTML report: tables that can be sorted and searched, and a kind that can be chosen in all charts.
///
/// The page is whole without it: it makes the controls that need it, and no printed page shows them.
enum HTMLScript {
    static let text: Markup = """
        'use strict';
        // Numbers as the tables show them: 1.52M, 65.9%, 500us, 250 ms.
        const units = {'': 1, '%': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600};
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
            const button = document.createElement('button');
            button.type = 'button';
            button.append(...head.childNodes);
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
        function makeSearchable(table) {
          const rows = [...table.tBodies[0].rows];
          if (rows.length === 1) return;
          const label = document.createElement('label'), input = document.createElement('input');
          const result = document.createElement('output');
          label.className = 'search';
          input.type = 'search';
          label.append('Search ', input, ' ', result);
          table.parentElement.before(label);
          input.addEventListener('input', () => {
            const words = input.value.toLowerCase().split(' ').filter(word => word !== '');
            let shown = 0;
            for (const row of rows) {
              row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
              if (!row.hidden) shown += 1;
            }
            result.textContent = words.length === 0 ? '' : shown + ' of ' + rows.length + ' rows';
          });
        }
        // A color stands for a kind in all charts and tables: k0, k1 and so on.
        function colorOf(element) {
          return (element.getAttribute('class') || '').split(' ').find(name => /^k[0-9]$/.test(name));
        }
        const marked = [...document.querySelectorAll('[class^=k]')].filter(colorOf);
        let chosen = null;
        function choose(color) {
          chosen = color === chosen ? null : color;
          for (const element of marked) element.classList.toggle('faint', chosen !== null && colorOf(element) !== chosen);
          for (const button of document.querySelectorAll('button.kind')) {
            button.setAttribute('aria-pressed', String(button.dataset.color === chosen));
          }
        }
        function makeChoosable(label) {
          const mark = label.querySelector('i'), color = mark && colorOf(mark);
          if (!color) return;
          const button = document.createElement('button');
          button.type = 'button';
          button.className = 'kind';
          button.dataset.color = color;
          button.setAttribute('aria-pressed', 'false');
          button.append(...label.childNodes);
          label.replaceWith(button);
          button.addEventListener('click', () => choose(color));
        }
        document.querySelectorAll('table').forEach(makeSortable);
        document.querySelectorAll('table').forEach(makeSearchable);
        document.querySelectorAll('.legend span.kind').forEach(makeChoosable);
        document.addEventListener('keydown', event => { if (event.key === 'Escape') choose(chosen); });
        """
}
