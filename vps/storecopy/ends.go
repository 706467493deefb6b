package storecopy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"sunspool/health"
	"sunspool/settings"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
)

// end is one side of a copy: a database, or a file.
type end struct {
	flag string
	url  string
	path string
}

// parseEnd reads what a flag names.
func parseEnd(flag, text, databaseURL string) (e end, err error) {
	e.flag = flag
	switch file, isFile := strings.CutPrefix(text, "@"); {
	case text == "DATABASE_URL":
		if text = databaseURL; text == "" {
			return e, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: flag + " takes DATABASE_URL, which is not set", Next: "set it in the environment, or name the database"}
		}
	case isFile:
		secret, err := settings.ReadSecretFile(file)
		if exposed, ok := errors.AsType[*settings.Exposed](err); ok {
			return e, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: flag + " " + exposed.Error(), Next: "chmod 600 " + health.Quote(file)}
		}
		if err != nil {
			return e, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: flag + " names a file that cannot be read", Err: err, Next: "name a file with the URL of the database"}
		}
		text = strings.TrimSpace(secret)
	}
	if text == "" {
		return e, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: flag + " is empty", Next: "name a DATA_DIR, a file or a database"}
	}
	if strings.Contains(text, "://") {
		e.url = text
		if why := postgres.WrongURL(text); why != "" {
			return e, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: flag + " names no database that can be used", Why: "it " + why, Next: "write it as postgres://user:password@host:5432/database"}
		}
		return e, nil
	}
	e.path = text
	if info, err := os.Stat(text); err == nil && info.IsDir() || err != nil && flag == "--to" && filepath.Ext(text) != ".db" {
		e.path = filepath.Join(text, bolt.FileName)
	}
	return e, nil
}

// same reports whether both are one store.
func (e end) same(o end) bool {
	a, err := os.Stat(e.path)
	b, err2 := os.Stat(o.path)
	return e.url != "" && e.url == o.url || e.url == "" && o.url == "" && err == nil && err2 == nil && os.SameFile(a, b)
}

func (e end) openRows(ctx context.Context) (store.Rows, error) {
	if e.url != "" {
		rows, err := postgres.OpenRows(ctx, e.url)
		return rows, e.explain(err)
	}
	rows, err := bolt.OpenRows(e.path)
	if fault, ok := errors.AsType[*health.Fault](err); ok && fault.Code == "store_locked" {
		fault.Next = "copy from a backup, which that vps takes while it runs: `sunspool vps backup FILE`, then --from FILE; or stop it first: `sudo systemctl stop sunspool-vps`"
	}
	return rows, err
}

func (e end) openReplica(ctx context.Context) (store.Replica, error) {
	if e.url != "" {
		replica, err := postgres.OpenReplica(ctx, e.url)
		return replica, e.explain(err)
	}
	replica, err := bolt.OpenReplica(e.path)
	if fault, ok := errors.AsType[*health.Fault](err); ok && fault.Code == "store_locked" {
		fault.Next = "stop it first: `sudo systemctl stop sunspool-vps`"
	}
	return replica, err
}

// explain makes an error of connecting one about the flag. None has the password.
func (e end) explain(err error) error {
	if err == nil {
		return nil
	}
	fault, ok := errors.AsType[*health.Fault](err)
	if !ok {
		return &health.Fault{Code: "copy_unreachable", Exit: health.ExitUnreachable, What: "cannot use the database of " + e.flag, Err: err,
			Next: "check that its PostgreSQL runs and can be reached, and start the copy again"}
	}
	for _, text := range []*string{&fault.What, &fault.Why, &fault.Next} {
		*text = strings.ReplaceAll(*text, "DATABASE_URL", e.flag)
	}
	return fault
}
