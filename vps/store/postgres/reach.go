package postgres

import (
	"context"

	"sunspool/vps/store/postgres/database"
)

// Reach connects to the database at url once, and changes nothing. The error says what an operator can do.
func Reach(ctx context.Context, url string) error {
	config, err := database.ParseURL(url, database.CallTime)
	if err != nil {
		return err
	}
	return database.Reach(ctx, config)
}
