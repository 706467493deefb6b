package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"sunspool/vps/store/postgres/database"
)

// Through a pooler nothing is prepared, so each parameter must have a type that is registered: by us, because what is released is
// built with nopgxregisterdefaulttypes. Without that tag this test proves nothing.
func TestParametersNeedNoPreparation(t *testing.T) {
	m := pgtype.NewMap()
	database.RegisterTypes(m)
	for _, s := range deviceStatements() {
		for i, arg := range s.Args {
			if _, err := m.Encode(0, pgtype.TextFormatCode, arg, nil); err != nil {
				t.Errorf("%s: parameter %d: %v", s.Name, i+1, err)
			}
		}
	}
}
