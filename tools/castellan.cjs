#!/usr/bin/env node
'use strict';
/*
 * The command `castellan`: runs src/cli/main.ts on the Node.js that this project is pinned to, by way of the launcher. ES5 for the same
 * reason as there.
 */
var path = require('path');

process.argv.splice(2, 0, path.join(__dirname, '..', 'src', 'cli', 'main.ts'));
require('./launch.cjs');
