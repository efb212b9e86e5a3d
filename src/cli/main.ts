process.stdout.write(`hi ${process.argv.slice(2).join(' ')} ${process.version}\n`);
