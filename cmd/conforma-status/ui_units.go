package main

const (
	helpUnits     = "write what systemd's units have to know of the configuration"
	helpUnitsLong = `Write drop-ins below DIR for the units of conforma-status: the sites' secrets, which systemd hands to the gate, the files that
it is restarted for, its socket, and the directories that reconcile writes to. systemd calls this whenever it reads its units
(systemd.generator(7)); after a change of the configuration: systemctl daemon-reload.`

	wordUnitPath = "systemd can't take the path %q"
	hintUnitPath = "give the file another name: no control characters, no blank at either end, no backslash as the last"
)
