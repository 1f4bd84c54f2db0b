'use strict';
/* marketing-sync: renders WORK/content/NAME.md by WORK/content/template.html to WORK/public/NAME.html,
 * makes an index of them, and copies WORK/assets beside them. A page begins with "title: ..."; the
 * rest is paragraphs, parted by empty lines. Only what differs is written. */
const fs = require('fs');
const path = require('path');
const nine = require('./common.cjs');

const content = path.join(nine.work, 'content');
const assets = path.join(nine.work, 'assets');
const site = path.join(nine.work, 'public');

const escape = (text) =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);

function readPage(name) {
  const text = fs.readFileSync(path.join(content, name), 'utf8');
  const match = /^title:\s*(.+)\n/.exec(text);
  if (match === null) {
    throw new Error(`content/${name} does not begin with "title: ..."`);
  }
  const paragraphs = text.slice(match[0].length).split(/\n\s*\n/);
  return { title: match[1].trim(), paragraphs: paragraphs.map((part) => part.trim()).filter(Boolean) };
}

function fill(template, title, body) {
  return template.replace(/{{(title|body)}}/g, (_, key) => (key === 'title' ? escape(title) : body));
}

/* Every file of the site, by its name. */
function render() {
  const template = fs.readFileSync(path.join(content, 'template.html'), 'utf8');
  const files = {};
  let list = '';
  for (const name of nine.filesBelow(content).filter((file) => file.endsWith('.md'))) {
    const page = readPage(name);
    const target = name.replace(/\.md$/, '.html');
    const body = page.paragraphs.map((part) => `<p>${escape(part)}</p>`).join('\n');
    files[target] = fill(template, page.title, body);
    list += `<li><a href="${encodeURI(target)}">${escape(page.title)}</a></li>\n`;
  }
  files['index.html'] = fill(template, 'Pages', `<ul>\n${list}</ul>`);
  for (const name of nine.filesBelow(assets)) {
    files[path.join('assets', name)] = fs.readFileSync(path.join(assets, name));
  }
  return files;
}

function unit() {
  const files = render();
  const changed = Object.keys(files).filter(
    (name) => !nine.sameContent(path.join(site, name), files[name]),
  );
  for (const name of nine.dry ? [] : changed) {
    nine.put(path.join(site, name), files[name]);
  }
  return `${Object.keys(files).length} files, ${changed.length} changed`;
}

nine.run({ periodMs: 6 * 3600000, unit });
