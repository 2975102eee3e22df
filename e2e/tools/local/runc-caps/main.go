// runc-caps stands in front of runc on a machine that lacks a capability, as many sandboxes do. For
// --privileged Docker asks for every capability, and runc refuses the whole container when one of them
// cannot be given. runc-caps takes what the machine's bounding set lacks out of the request, then becomes
// runc. It only ever asks for less.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// In the order of their numbers. Source: capability.h of Linux.
var capabilities = strings.Fields(`
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
	NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
	SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
	AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
	PERFMON BPF CHECKPOINT_RESTORE`)

// isMissing tells for a name such as CAP_CHOWN whether the bounding set lacks it.
func isMissing() (func(any) bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	_, after, _ := strings.Cut(string(status), "CapBnd:")
	line, _, _ := strings.Cut(after, "\n")
	bounding, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		return nil, fmt.Errorf("CapBnd of /proc/self/status: %w", err)
	}
	return func(name any) bool {
		text, _ := name.(string)
		number := slices.Index(capabilities, strings.TrimPrefix(text, "CAP_"))
		return number >= 0 && bounding>>number&1 == 0
	}, nil
}

// removeMissing rewrites a file of the OCI runtime specification: config.json, which holds the process
// under a key, or the process of an exec.
func removeMissing(file, key string) error {
	missing, err := isMissing()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var document map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.UseNumber() // numbers go through as they are
	if err := decoder.Decode(&document); err != nil {
		return err
	}
	process := document
	if key != "" {
		process, _ = document[key].(map[string]any)
	}
	sets, _ := process["capabilities"].(map[string]any)
	for name, set := range sets {
		list, _ := set.([]any)
		sets[name] = slices.DeleteFunc(list, missing)
	}
	if content, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

// valueOf gives what follows any of the flags, in either of the forms `--flag value` and `--flag=value`.
func valueOf(arguments []string, fallback string, flags ...string) string {
	for i, argument := range arguments {
		name, value, joined := strings.Cut(argument, "=")
		switch {
		case !slices.Contains(flags, name):
		case joined:
			return value
		case i+1 < len(arguments):
			return arguments[i+1]
		}
	}
	return fallback
}

func prepare(arguments []string) error {
	for _, argument := range arguments {
		switch argument {
		case "create", "run":
			bundle := valueOf(arguments, ".", "--bundle", "-b")
			return removeMissing(filepath.Join(bundle, "config.json"), "process")
		case "exec":
			if file := valueOf(arguments, "", "--process", "-p"); file != "" {
				return removeMissing(file, "")
			}
			return nil
		}
	}
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "runc-caps:", err)
	os.Exit(1)
}

func main() {
	if err := prepare(os.Args[1:]); err != nil {
		fail(err)
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		fail(err)
	}
	fail(syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
}
