"""Pictures of posts: what is made of them, in processes that can be killed, and the rows that tell of it."""
